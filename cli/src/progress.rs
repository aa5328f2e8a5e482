//! How far long work is: on a terminal that a person looks at, and nowhere else.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{Format, Style};

/// How often a spinner turns: only where something is waited for.
const TURN: Duration = Duration::from_millis(120);

/// A line on standard error that is written over, and gone with its value.
#[derive(Debug)]
pub(crate) struct Line(ProgressBar);

impl Line {
    /// Says `what` is done now, and for how long already.
    pub(crate) fn of(style: Style, what: &'static str) -> Self {
        let seen = style.format == Format::Text && io::stderr().is_terminal();
        let target = if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(spinner());
        bar.set_message(what);
        if seen {
            bar.enable_steady_tick(TURN);
        }
        Self(bar)
    }

    /// What is done now; how much of it there is is not known.
    #[cfg(feature = "outbox")]
    pub(crate) fn say(&self, what: String) {
        self.0.set_message(what);
    }

    /// How much of it is done.
    #[cfg(feature = "outbox")]
    pub(crate) fn reach(&self, done: u64, of: u64) {
        if self.0.length() != Some(of) {
            self.0.set_length(of);
            self.0.set_style(bar());
        }
        self.0.set_position(done);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} ({elapsed})").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(feature = "outbox")]
fn bar() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {pos} of {len}, {per_sec}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A template that can't be read would be a bar without what it should say.
    #[test]
    fn templates_are_read() {
        assert!(ProgressStyle::with_template("{spinner} {msg} ({elapsed})").is_ok());
        assert!(ProgressStyle::with_template("{bar:30} {pos} of {len}, {per_sec}, {eta} left").is_ok());
    }
}
