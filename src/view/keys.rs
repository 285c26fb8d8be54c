//! Keys of the window, in one place: what each does, and what the help sheet says of it.

use winit::keyboard::{Key, NamedKey};

use super::{Still, Wish};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Quit,
    /// Out of fullscreen, or out of the program.
    Leave,
    Fullscreen,
    Figures,
    Freeze,
    Help,
    Snapshot(Still),
    Wish(Wish),
}

/// What a key means; `None` for keys that mean nothing here. A held key repeats only what can be repeated.
pub fn action(key: &Key, repeated: bool) -> Option<Action> {
    let action = match key.as_ref() {
        Key::Named(NamedKey::Enter) | Key::Character("q" | "Q") => Action::Quit,
        Key::Named(NamedKey::Escape) => Action::Leave,
        Key::Named(NamedKey::Space) | Key::Character(" ") => Action::Freeze,
        Key::Named(NamedKey::F1) | Key::Character("?" | "h" | "H") => Action::Help,
        Key::Named(NamedKey::ArrowUp) | Key::Character("0") => Action::Wish(Wish::Louder),
        Key::Named(NamedKey::ArrowDown) | Key::Character("9") => Action::Wish(Wish::Quieter),
        Key::Character("f" | "F") => Action::Fullscreen,
        Key::Character("i" | "I") => Action::Figures,
        Key::Character("s") => Action::Snapshot(Still::Png),
        Key::Character("S") => Action::Snapshot(Still::Jpeg),
        Key::Character("m" | "M") => Action::Wish(Wish::Mute),
        Key::Character("r" | "R") => Action::Wish(Wish::Record),
        _ => return None,
    };
    (!repeated || matches!(action, Action::Wish(Wish::Louder | Wish::Quieter))).then_some(action)
}

/// What each key does, for the help sheet over the picture and `watch --help`.
pub const HELP: &[(&str, &str)] = &[
    ("q, Enter", "quit"),
    ("Esc", "leave fullscreen, else quit"),
    ("f, double-click", "fullscreen"),
    ("Space", "freeze the picture"),
    ("s", "snapshot as PNG"),
    ("S", "snapshot as JPEG"),
    ("r", "begin or end a recording"),
    ("m", "mute"),
    ("Up, Down", "louder, softer"),
    ("i", "figures and graph"),
    ("?, h", "these keys"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_repeat_do_not_flicker() {
        let key = |text: &str| Key::Character(text.into());
        assert_eq!(action(&key("f"), false), Some(Action::Fullscreen));
        assert_eq!(action(&key("f"), true), None);
        assert_eq!(action(&key("0"), true), Some(Action::Wish(Wish::Louder)));
        assert_eq!(action(&key("x"), false), None);
        assert_eq!(action(&Key::Named(NamedKey::Escape), false), Some(Action::Leave));
    }
}
