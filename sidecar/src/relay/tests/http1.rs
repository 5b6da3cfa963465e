//! HTTP/1: which answer says goodbye, of every kind of answer there is.

use super::conversations::in_pieces;
use super::*;

const POST: &str = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
    1;a=\"b\"\r\na\r\n0\r\nTrailer: b\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// An answer with the goodbye.
fn told(answer: &str) -> String {
    answer.replacen("\r\n", "\r\nConnection: close\r\n", 1)
}

/// Plays this while the pod leaves: what the client hears, and whether that is the end.
fn heard(turns: &[Act]) -> (String, bool) {
    let mut played = Played::new(true);
    for turn in turns {
        played.act(turn);
    }
    played.check().unwrap();
    let heard = String::from_utf8(played.to_client().to_vec()).unwrap();
    (heard, played.is_over())
}

fn client(text: &str) -> Act {
    Act::Client(text.as_bytes().to_vec())
}

fn app(text: &str) -> Act {
    Act::App(text.as_bytes().to_vec())
}

/// The goodbye is in the final answer, which ends where its framing says; what follows is not
/// heard.
#[test]
fn every_final_answer_can_be_the_last() {
    let head = "HEAD / HTTP/1.1\r\n\r\n";
    let upgrade = "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    let no_content = "HTTP/1.1 204 No Content\r\n\r\n";
    let not_modified = "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n";
    let of_head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    for (request, answer) in [
        (GET, OK),
        (POST, CHUNKED),
        (head, of_head),
        (GET, no_content),
        (GET, not_modified),
        (upgrade, OK),
    ] {
        let turns = [client(request), app(&[answer, OK].concat())];
        assert_eq!(heard(&turns), (told(answer), true), "{request}{answer}");
    }
}

/// Interim answers are none, nor is the one that asks for a body.
#[test]
fn interim_answers_stay_as_they_are() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n";
    let turns = [client(GET), app(hints), app(hints), app(OK)];
    assert_eq!(heard(&turns), ([hints, hints, &told(OK)].concat(), true));
    let (head, body) = POST.split_at(POST.len() - 3);
    let expects = head.replace("Content", "Expect: 100-continue\r\nContent");
    let turns = [client(&expects), app(CONTINUE), client(body), app(OK)];
    assert_eq!(heard(&turns), ([CONTINUE, &told(OK)].concat(), true));
    let refused = [client(&expects), app(OK)];
    let waits_for_body = false;
    assert_eq!(heard(&refused), (told(OK), waits_for_body));
}

/// An answer that ends the connection by itself needs no word of ours.
#[test]
fn an_answer_that_ends_the_connection_stays_as_it_is() {
    let asked = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    let closes = "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n";
    let old = "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n";
    let until_close = "HTTP/1.1 200 OK\r\n\r\nup to the end";
    for (request, answer) in [(GET, closes), (GET, old), (GET, until_close)] {
        let turns = [client(request), app(answer)];
        assert_eq!(heard(&turns), (answer.to_owned(), false), "{answer}");
    }
    let turns = [client(asked), app(OK)];
    assert_eq!(heard(&turns), (told(OK), true), "the app did not say so");
}

/// A tunnel and another protocol begin untouched; a CONNECT that was refused is followed by HTTP.
#[test]
fn what_becomes_something_else() {
    let connect = "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n";
    let opened = "HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 inside";
    let turns = [client(connect), client("x"), app(opened)];
    assert_eq!(heard(&turns), (opened.to_owned(), false));
    let refused = "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n";
    let turns = [client(connect), app(refused), client(GET), app(OK)];
    assert_eq!(heard(&turns), ([refused, &told(OK)].concat(), true));
    let upgrade = "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    let switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nHTTP/1.1 inside";
    let turns = [client(upgrade), app(switched), client("x")];
    assert_eq!(heard(&turns), (switched.to_owned(), false));
}

/// A request, and what the app answers: whole and lawful.
#[derive(Clone, Debug)]
struct Talk {
    request: &'static str,
    interim: &'static str,
    answer: &'static str,
}

fn talks() -> impl Strategy<Value = Vec<Talk>> {
    let no_content = "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n";
    let talk = (
        prop::sample::select(vec![
            GET,
            POST,
            "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        ]),
        prop::sample::select(vec!["", "", CONTINUE]),
        prop::sample::select(vec![OK, CHUNKED, no_content]),
    );
    let talk = talk.prop_map(|(request, interim, answer)| Talk {
        request,
        interim,
        answer,
    });
    prop::collection::vec(talk, 1..6)
}

/// The pieces of all answers, each with the number of requests that the app has seen by then.
fn answers<'a>(talks: &'a [Talk], cuts: &'a [usize]) -> impl Iterator<Item = (usize, Act)> + 'a {
    talks.iter().zip(1..).flat_map(|(talk, number)| {
        let said = [talk.interim, talk.answer].concat();
        let pieces = in_pieces(said.as_bytes(), cuts);
        let pieces = pieces.into_iter().map(|piece| Act::App(piece.to_vec()));
        pieces.map(|piece| (number, piece)).collect::<Vec<_>>()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Whenever the pod leaves, and however far a client is ahead with its requests: each request
    /// that the app has seen has its whole answer, one answer at most has the goodbye, which is the
    /// last, and no byte of a further request has gone to the app.
    #[test]
    fn whoever_is_heard_is_answered(
        talks in talks(),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
        mix in prop::collection::vec(any::<bool>(), 1..64),
        leaves in 0..40usize,
    ) {
        let requests = |count: usize| -> String {
            talks[..count].iter().map(|talk| talk.request).collect()
        };
        let all = requests(talks.len());
        let mut asks = in_pieces(all.as_bytes(), &cuts).into_iter();
        let mut answers = answers(&talks, &cuts).peekable();
        let mut played = Played::new(false);
        for (turn, by_client) in mix.iter().cycle().enumerate() {
            if turn == leaves {
                played.leave(true);
            }
            let may_answer = answers
                .peek()
                .is_some_and(|(number, _)| played.to_app().len() >= requests(*number).len());
            let ask = (*by_client || !may_answer).then(|| asks.next()).flatten();
            if let Some(ask) = ask {
                played.client(ask);
            } else if may_answer && let Some((_, answer)) = answers.next() {
                played.act(&answer);
            } else if turn > leaves || answers.peek().is_none() {
                break;
            }
        }
        let count = (0..=talks.len())
            .find(|count| requests(*count).len() >= played.to_app().len())
            .unwrap_or(talks.len());
        let whole = |talks: &[Talk]| -> String {
            talks.iter().map(|talk| [talk.interim, talk.answer].concat()).collect()
        };
        let heard = String::from_utf8_lossy(played.to_client()).into_owned();
        if played.is_over() {
            prop_assert_eq!(String::from_utf8_lossy(played.to_app()), requests(count));
            let (last, others) = talks[..count].split_last().unwrap();
            let told = told(last.answer).replace("Connection: keep-alive\r\n", "");
            prop_assert_eq!(heard, [&*whole(others), last.interim, &told].concat());
        } else {
            prop_assert_eq!(count, talks.len(), "nobody is kept waiting");
            prop_assert_eq!(heard, whole(&talks));
        }
    }
}

/// The same length or coding said twice is one: the answer is tracked, and carries the goodbye.
#[test]
fn equal_framing_fields_carry_the_goodbye() {
    for fields in [
        "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "Content-Length: 2, 2\r\n\r\nok",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ] {
        let mut played = Played::new(true);
        played.client(GET.as_bytes());
        played.app(format!("HTTP/1.1 200 OK\r\n{fields}").as_bytes());
        let told = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{fields}");
        assert_eq!(String::from_utf8_lossy(played.to_client()), told);
        assert!(played.is_over());
    }
}

/// A connection of which nothing is certain any more is counted by the reason, if it had carried a
/// request; what was something else from the start is not.
#[test]
fn doubt_in_the_middle_is_counted() {
    let counted = |talk: &[Act]| {
        let played = play(talk, &[], false, Duration::ZERO);
        played.census.snapshot(played.now).turned_opaque
    };
    let says = |text: &str| text.as_bytes().to_vec();
    let odd = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
    let talk = [Act::Client(says(GET)), Act::App(says(odd))];
    assert_eq!(counted(&talk), [(Odd::Framing, 1)].into());
    let talk = [
        Act::Client(says(GET)),
        Act::App(says(OK)),
        Act::Client(says("nonsense\r\n")),
    ];
    assert_eq!(counted(&talk), [(Odd::NotHttp, 1)].into());
    assert_eq!(counted(&[Act::Client(says("nonsense\r\n"))]), [].into());
    assert_eq!(counted(&[Act::App(says("220 ready\r\n"))]), [].into());
}
