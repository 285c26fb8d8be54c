//! What `serve` is told of talk.

use clap::Args;
use udpstream::app::talk::{self, TalkOptions};
use udpstream::proto::server::TalkRules;

use super::help::TALK;

/// `None` where nothing was said.
#[derive(Args, Clone, Debug, Default)]
pub struct TalkChoices {
    /// Let nobody write to others who watch [default: let them].
    #[arg(long, action = clap::ArgAction::SetTrue, conflicts_with = "talk", help_heading = TALK)]
    pub no_talk: Option<bool>,
    /// Take no lines of this name; capitals and accents make no difference; can be given many times [default: take all].
    #[arg(long, value_name = "NAME", value_parser = talk::name, help_heading = TALK)]
    pub mute: Option<Vec<String>>,
    /// Say what is typed on standard input to those who watch the first stream, as NAME, and write what is said of all streams to
    /// standard output [default: neither; host without NAME].
    #[arg(long, value_name = "NAME", value_parser = talk::name, num_args = 0..=1, require_equals = true,
        default_missing_value = talk::HOST, help_heading = TALK)]
    pub talk: Option<String>,
}

impl TalkChoices {
    /// These, and `others` where nothing was said.
    pub fn or(self, others: Self) -> Self {
        Self {
            no_talk: self.no_talk.filter(|on| *on).or(others.no_talk),
            mute: self.mute.or(others.mute),
            talk: self.talk.or(others.talk),
        }
    }

    /// Checks what command line and file say together; the error is one sentence.
    pub fn settle(&self) -> Result<(), String> {
        if self.is_off() && self.talk.is_some() {
            return Err("talk and no-talk exclude each other: leave one of them out".to_owned());
        }
        Ok(())
    }

    pub fn options(&self) -> TalkOptions {
        TalkOptions { typed: self.talk.is_some(), off: self.is_off(), name: self.talk.clone() }
    }

    pub fn rules(&self) -> TalkRules {
        TalkRules { off: self.is_off(), muted: self.mute.clone().unwrap_or_default() }
    }

    fn is_off(&self) -> bool {
        self.no_talk == Some(true)
    }
}

/// Names as a file has them, with commas between them.
pub fn names(text: &str) -> Result<Vec<String>, String> {
    text.split(',').map(talk::name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_file_stand_between_commas() {
        assert_eq!(names("Eve, Mallory "), Ok(vec!["Eve".to_owned(), "Mallory".to_owned()]));
        assert!(names("Eve,,").is_err() && names("\u{202e}").is_err());
    }

    #[test]
    fn talk_and_none_exclude_each_other() {
        let said = |no_talk, talk: Option<&str>| TalkChoices { no_talk, mute: None, talk: talk.map(str::to_owned) };
        assert!(said(Some(true), Some("Ann")).settle().is_err());
        assert!(said(Some(false), Some("Ann")).settle().is_ok() && said(Some(true), None).settle().is_ok());
        let both = said(Some(true), None).or(said(Some(false), Some("Ann")));
        assert!(both.rules().off && both.options().off && both.settle().is_err());
    }
}
