//! A preStop hook of the app that is a command, and what it waits for.
//!
//! Only the app's own container can run such a command: it has the program, the user, the
//! environment and the files. So the webhook leaves it there and puts the program `ebb-hold` in
//! front of it, which calls the sidecar as kubelet calls the hooks of other containers, and runs
//! the command when the sidecar releases it. This file holds the words by which the webhook tells
//! it so:
//!
//! ```text
//!  /.ebb/hold after app TOKEN 305 -- nginx -s quit
//! ```

/// The folder of the volume that brings the program into a container.
pub const FOLDER: &str = "/.ebb";

/// The program in a container.
pub const PROGRAM: &str = "/.ebb/hold";

/// The program in the sidecar's image, from where it is copied to [`PROGRAM`].
pub const PROGRAM_IN_IMAGE: &str = "/ebb-hold";

/// The program's first word when it is to copy itself to the path that follows.
pub const INSTALL: &str = "install";

/// What stands between our words and the command.
const END_OF_OURS: &str = "--";

/// When the command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// When the sidecar has released the hook: the drain is over.
    After,
    /// At once, while the drain goes on; the hook ends when both have.
    Before,
}

/// A command that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// When it runs.
    pub order: Order,
    /// Its container.
    pub container: String,
    /// The token of the pod's hook calls.
    pub token: String,
    /// How long a sidecar that does not answer is waited for, in seconds. It is longer than any
    /// drain of the pod, and leaves the command the time that it would have without Ebb.
    pub limit_seconds: u32,
    /// The command and its arguments, as the pod's author wrote them; never empty.
    pub command: Vec<String>,
}

/// Words that say no such thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected: after|before CONTAINER TOKEN SECONDS -- COMMAND…")]
pub struct NotHeld;

// === impl Held ===

impl Held {
    /// The words of the hook, the program's own path first.
    pub fn words(&self) -> Vec<String> {
        let ours = [
            PROGRAM,
            self.order.as_str(),
            &self.container,
            &self.token,
            &self.limit_seconds.to_string(),
            END_OF_OURS,
        ];
        let ours = ours.map(str::to_owned).into_iter();
        ours.chain(self.command.iter().cloned()).collect()
    }

    /// Reads what [`words`](Held::words) has written, without the program's path.
    ///
    /// # Errors
    ///
    /// The words are others, or there is no command.
    pub fn parse(words: &[String]) -> Result<Held, NotHeld> {
        let [order, container, token, limit, end, command @ ..] = words else {
            return Err(NotHeld);
        };
        let order = Order::parse(order).ok_or(NotHeld)?;
        if end != END_OF_OURS || command.is_empty() {
            return Err(NotHeld);
        }
        Ok(Held {
            order,
            container: container.clone(),
            token: token.clone(),
            limit_seconds: limit.parse().map_err(|_| NotHeld)?,
            command: command.to_vec(),
        })
    }
}

// === impl Order ===

impl Order {
    fn as_str(self) -> &'static str {
        match self {
            Order::After => "after",
            Order::Before => "before",
        }
    }

    fn parse(word: &str) -> Option<Order> {
        [Order::After, Order::Before]
            .into_iter()
            .find(|order| order.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    /// What one side writes is what the other reads, whatever the command looks like.
    #[test]
    fn what_is_written_is_read() {
        for command in [
            vec!["nginx", "-s", "quit"],
            vec!["--"],
            vec!["sh", "-c", " a  b "],
        ] {
            for order in [Order::After, Order::Before] {
                let held = Held {
                    order,
                    container: "app".to_owned(),
                    token: "t".to_owned(),
                    limit_seconds: 305,
                    command: command.iter().copied().map(str::to_owned).collect(),
                };
                let words = held.words();
                assert_eq!(words[0], PROGRAM);
                assert_eq!(Held::parse(&words[1..]), Ok(held));
            }
        }
    }

    /// Anything else is told, and nothing is run.
    #[test]
    fn other_words_are_refused() {
        for line in [
            "",
            "after app t 305 --",
            "after app t 305 nginx -s quit",
            "after app t soon -- nginx",
            "after app t -1 -- nginx",
            "later app t 305 -- nginx",
        ] {
            assert_eq!(Held::parse(&words(line)), Err(NotHeld), "{line}");
        }
    }
}
