//! Keys of the wall: what each does, and what the help sheet says of it.

use winit::keyboard::{Key, NamedKey};

use super::super::{Still, Wish};
use super::layout::Way;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Quit,
    /// Back from a large tile, out of fullscreen, or out of the program.
    Leave,
    /// The chosen tile large, or all again.
    Enlarge,
    Choose(Way),
    Fullscreen,
    Figures,
    Help,
    /// Of the chosen tile.
    Snapshot(Still),
    /// Of the chosen tile.
    Wish(Wish),
}

/// What a key means; `None` for keys that mean nothing here. A held key repeats only what can be repeated.
pub fn action(key: &Key, shift: bool, repeated: bool) -> Option<Action> {
    let action = match key.as_ref() {
        Key::Named(named) => of_named(named, shift)?,
        Key::Character(text) => of_character(text)?,
        _ => return None,
    };
    let repeats = matches!(action, Action::Choose(_) | Action::Wish(Wish::Louder | Wish::Quieter));
    (!repeated || repeats).then_some(action)
}

const fn of_named(key: NamedKey, shift: bool) -> Option<Action> {
    Some(match key {
        NamedKey::Enter => Action::Enlarge,
        NamedKey::Escape => Action::Leave,
        NamedKey::F1 => Action::Help,
        NamedKey::ArrowLeft => Action::Choose(Way::Left),
        NamedKey::ArrowRight => Action::Choose(Way::Right),
        NamedKey::ArrowUp => Action::Choose(Way::Up),
        NamedKey::ArrowDown => Action::Choose(Way::Down),
        NamedKey::Tab if shift => Action::Choose(Way::Previous),
        NamedKey::Tab => Action::Choose(Way::Next),
        _ => return None,
    })
}

fn of_character(text: &str) -> Option<Action> {
    Some(match text {
        "q" | "Q" => Action::Quit,
        "?" | "h" | "H" => Action::Help,
        "f" | "F" => Action::Fullscreen,
        "i" | "I" => Action::Figures,
        "s" => Action::Snapshot(Still::Png),
        "S" => Action::Snapshot(Still::Jpeg),
        "m" | "M" => Action::Wish(Wish::Mute),
        "r" | "R" => Action::Wish(Wish::Record),
        "0" | "+" => Action::Wish(Wish::Louder),
        "9" | "-" => Action::Wish(Wish::Quieter),
        _ => return None,
    })
}

/// What each key does, for the help sheet over the wall.
pub const HELP: &[(&str, &str)] = &[
    ("arrows, click, Tab", "choose a stream"),
    ("Enter, double-click", "make it large, and back"),
    ("Esc", "back, leave fullscreen, else quit"),
    ("q", "quit"),
    ("f", "fullscreen"),
    ("s, S", "snapshot of it as PNG, JPEG"),
    ("r", "begin or end a recording of it"),
    ("m", "mute"),
    ("0, +  9, -", "louder, softer"),
    ("i", "figures of all"),
    ("?, h", "these keys"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_choose_and_enter_enlarges() {
        let named = |key, shift| action(&Key::Named(key), shift, false);
        assert_eq!(named(NamedKey::ArrowLeft, false), Some(Action::Choose(Way::Left)));
        assert_eq!(named(NamedKey::Tab, true), Some(Action::Choose(Way::Previous)));
        assert_eq!(named(NamedKey::Enter, false), Some(Action::Enlarge));
        let key = |text: &str, repeated| action(&Key::Character(text.into()), false, repeated);
        assert_eq!(key("+", true), Some(Action::Wish(Wish::Louder)));
        assert_eq!(key("f", true), None);
        assert_eq!((key("f", false), key("x", false)), (Some(Action::Fullscreen), None));
    }
}
