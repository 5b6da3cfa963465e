//! A crate's `rooms.txt`: a line for each room, with those that it may use.
//!
//! ```text
//! relay: census, stance       # what stands after a # is for readers
//! drain: census, ^config      # an arrow that goes up, with the reason why it may
//! ```

use super::Arrow;

/// What the file says.
pub(super) struct Table {
    /// From the top to the bottom.
    rooms: Vec<Room>,
}

struct Room {
    name: String,
    uses: Vec<Use>,
}

struct Use {
    name: String,
    is_exception: bool,
}

impl Table {
    /// Reads it, and says what is wrong with it by itself.
    pub(super) fn parse(text: &str, file: &str) -> (Table, Vec<String>) {
        let mut problems = Vec::new();
        let mut rooms: Vec<Room> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let (content, comment) = line.split_once('#').unwrap_or((line, ""));
            if content.trim().is_empty() {
                continue;
            }
            let place = format!("{file}:{}", number + 1);
            let Some((name, uses)) = content.split_once(':').and_then(|_| split(content)) else {
                problems.push(format!("{place}: a line is `room: used, used`"));
                continue;
            };
            if rooms.iter().any(|room| room.name == name) {
                problems.push(format!("{place}: {name} stands here twice"));
            }
            if uses.iter().any(|used| used.is_exception) && comment.trim().is_empty() {
                problems.push(format!("{place}: say after a # why {name} may reach up"));
            }
            rooms.push(Room { name, uses });
        }
        let table = Table { rooms };
        problems.extend(table.circles(file));
        (table, problems)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.rooms.iter().map(|room| room.name.as_str())
    }

    /// Takes the rooms out that are no modules any more, and returns their names.
    pub(super) fn take_gone(&mut self, is_there: impl Fn(&str) -> bool) -> Vec<String> {
        let gone = self.rooms.extract_if(.., |room| !is_there(&room.name));
        gone.map(|room| room.name).collect()
    }

    /// The room of a path: the one with the longest name that the path begins with.
    pub(super) fn room(&self, path: &[String]) -> Option<&str> {
        self.names()
            .filter(|name| {
                let parts: Vec<&str> = name.split("::").collect();
                parts.len() <= path.len() && parts.iter().zip(path).all(|(part, at)| part == at)
            })
            .max_by_key(|name| name.len())
    }

    /// Arrows of the table that go up, or nowhere.
    fn circles(&self, file: &str) -> Vec<String> {
        let mut problems = Vec::new();
        for (at, room) in self.rooms.iter().enumerate() {
            for used in &room.uses {
                let name = &room.name;
                let target = &used.name;
                match self.names().position(|other| other == target) {
                    None => {
                        problems.push(format!("{file}: {name} uses {target}, which has no line"))
                    }
                    Some(below) if below <= at && !used.is_exception => problems.push(format!(
                        "{file}: {name} uses {target}, which stands above it: no room reaches back"
                    )),
                    Some(below) if below > at && used.is_exception => problems.push(format!(
                        "{file}: {name} uses {target}, which stands below it: no ^ is needed"
                    )),
                    Some(_) => {}
                }
            }
        }
        problems
    }

    /// What is used and not said, and what is said and not used.
    pub(super) fn differences(&self, arrows: &[Arrow], file: &str) -> Vec<String> {
        let mut problems = Vec::new();
        for Arrow { from, to, place } in arrows {
            let room = self.rooms.iter().find(|room| room.name == *from);
            if !room.is_some_and(|room| room.uses.iter().any(|used| used.name == *to)) {
                problems.push(format!(
                    "{place}: {from} uses {to}, which {file} does not allow: turn the arrow round, \
                     or say there why it is right"
                ));
            }
        }
        for room in &self.rooms {
            for used in &room.uses {
                let is_used = |arrow: &Arrow| arrow.from == room.name && arrow.to == used.name;
                if !arrows.iter().any(is_used) {
                    problems.push(format!(
                        "{file}: {} does not use {} any more: remove it from its line",
                        room.name, used.name
                    ));
                }
            }
        }
        problems
    }
}

/// `room: used, ^used`
fn split(content: &str) -> Option<(String, Vec<Use>)> {
    // A room's name may have colons of its own.
    let at = content.trim_end().rfind(": ").or_else(|| {
        let trimmed = content.trim_end();
        trimmed.ends_with(':').then(|| trimmed.len() - 1)
    })?;
    let (name, uses) = (content[..at].trim(), &content[at + 1..]);
    let uses = uses
        .split(',')
        .map(str::trim)
        .filter(|used| !used.is_empty())
        .map(|used| Use {
            name: used.trim_start_matches('^').to_owned(),
            is_exception: used.starts_with('^'),
        })
        .collect();
    (!name.is_empty() && !name.contains(' ')).then(|| (name.to_owned(), uses))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow(from: &str, to: &str) -> Arrow {
        Arrow {
            from: from.to_owned(),
            to: to.to_owned(),
            place: "src/x.rs:1".to_owned(),
        }
    }

    #[test]
    fn a_table_that_is_true_has_no_problems() {
        let text = "# Rooms.\napp: relay, relay::exchange\n\nrelay: relay::exchange\nrelay::exchange: ^app # so\n";
        let (table, problems) = Table::parse(text, "rooms.txt");
        assert_eq!(problems, [""; 0]);
        let path = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            table.room(&path("relay::exchange::edit")),
            Some("relay::exchange")
        );
        assert_eq!(table.room(&path("relay::Taken")), Some("relay"));
        assert_eq!(table.room(&path("relayed")), None);
        let arrows = [
            arrow("app", "relay"),
            arrow("app", "relay::exchange"),
            arrow("relay", "relay::exchange"),
            arrow("relay::exchange", "app"),
        ];
        assert_eq!(table.differences(&arrows, "rooms.txt"), [""; 0]);
    }

    #[test]
    fn what_is_not_true_is_said() {
        let (table, problems) = Table::parse("a: b, c\nb: a\nb:\nx y: b\nd: ^a", "rooms.txt");
        assert_eq!(
            problems,
            [
                "rooms.txt:3: b stands here twice",
                "rooms.txt:4: a line is `room: used, used`",
                "rooms.txt:5: say after a # why d may reach up",
                "rooms.txt: a uses c, which has no line",
                "rooms.txt: b uses a, which stands above it: no room reaches back",
            ]
        );
        let problems = table.differences(&[arrow("a", "b"), arrow("a", "d")], "rooms.txt");
        assert!(
            problems[0].starts_with("src/x.rs:1: a uses d"),
            "{problems:?}"
        );
        assert!(
            problems[1].contains("a does not use c any more"),
            "{problems:?}"
        );
    }
}
