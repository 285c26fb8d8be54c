//! Options that can stand on a command line, behind a stream (`--stream NAME=INPUT,width=640`) and in a configuration
//! file: one table for each group of them, and one parser for each value, wherever it was written.

use super::near::nearest;

/// One option.
pub struct Key<T> {
    /// Without dashes.
    pub name: &'static str,
    pub set: Set<T>,
}

/// How an option takes effect.
pub enum Set<T> {
    Flag(fn(&mut T) -> &mut Option<bool>),
    Value(fn(&mut T, &str) -> Result<(), String>),
}

/// Options whose values are not shown.
pub const SECRETS: [&str; 3] = ["code", "password", "allow-publish"];

/// A group of options.
pub trait Keyed: Sized + 'static {
    const KEYS: &'static [Key<Self>];

    fn key(name: &str) -> Option<&'static Key<Self>> {
        Self::KEYS.iter().find(|key| key.name == name)
    }

    /// Sets one option by its name; a flag needs no value. The error is a sentence with advice.
    fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), String> {
        let key = Self::key(name).ok_or_else(|| unknown(name, Self::KEYS.iter().map(|key| key.name)))?;
        match (&key.set, value) {
            (Set::Flag(field), value) => {
                let value = value.map_or(Some(true), yes_or_no);
                *field(self) =
                    Some(value.ok_or_else(|| format!("{name} is on or off: write {name}=yes or {name}=no"))?);
                Ok(())
            }
            (Set::Value(set), Some(value)) => {
                // What is secret is not repeated.
                let shown = if SECRETS.contains(&name) { "that".to_owned() } else { format!("{value:?}") };
                set(self, value).map_err(|advice| format!("{name} cannot be {shown}: {advice}"))
            }
            (Set::Value(_), None) => Err(format!("{name} needs a value: write {name}=VALUE")),
        }
    }
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text {
        "yes" | "true" | "on" => Some(true),
        "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

/// What is said of an option that there is not.
pub fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match nearest(name, &names) {
        Some(near) => format!("there is no option {name:?}: is {near} meant?"),
        None => format!("there is no option {name:?}: there are {}", names.join(", ")),
    }
}

/// A [`Set::Value`] that parses its text into a field.
macro_rules! value {
    ($($field:ident).+, $parse:expr) => {
        $crate::cli::keys::Set::Value(|to, text| {
            to.$($field).+ = Some($parse(text).map_err(|error| error.to_string())?);
            Ok(())
        })
    };
}

/// A [`Set::Flag`] of a field.
macro_rules! flag {
    ($field:ident) => {
        $crate::cli::keys::Set::Flag(|to| &mut to.$field)
    };
}

pub(super) use {flag, value};
