//! Keys while a line is typed.

use winit::keyboard::{Key, NamedKey};

use super::editor::Edit;

/// What a key means then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typing {
    Insert(String),
    Edit(Edit),
    /// The line is to be said.
    Say,
    /// It is put away.
    Close,
}

/// What a key means while a line is typed: `text` is what it types, with `control` nothing. `flipped`: the line runs from right
/// to left, and so do the arrows.
pub fn typing(key: &Key, text: Option<&str>, control: bool, flipped: bool) -> Option<Typing> {
    if let Key::Named(named) = key
        && let Some(meant) = of_named(*named, control, flipped)
    {
        return Some(meant);
    }
    if control {
        return match key.as_ref() {
            Key::Character("a" | "A") => Some(Typing::Edit(Edit::Home)),
            Key::Character("e" | "E") => Some(Typing::Edit(Edit::End)),
            Key::Character("u" | "U") => Some(Typing::Edit(Edit::Clear)),
            Key::Character("w" | "W") => Some(Typing::Edit(Edit::WordBackspace)),
            _ => None,
        };
    }
    let text: String = text?.chars().filter(|letter| !letter.is_control()).collect();
    (!text.is_empty()).then_some(Typing::Insert(text))
}

const fn of_named(key: NamedKey, control: bool, flipped: bool) -> Option<Typing> {
    let edit = match (key, control, flipped) {
        (NamedKey::Enter, ..) => return Some(Typing::Say),
        (NamedKey::Escape, ..) => return Some(Typing::Close),
        (NamedKey::ArrowLeft, false, false) | (NamedKey::ArrowRight, false, true) => Edit::Left,
        (NamedKey::ArrowRight, false, false) | (NamedKey::ArrowLeft, false, true) => Edit::Right,
        (NamedKey::ArrowLeft, true, false) | (NamedKey::ArrowRight, true, true) => Edit::WordLeft,
        (NamedKey::ArrowRight, true, false) | (NamedKey::ArrowLeft, true, true) => Edit::WordRight,
        (NamedKey::Backspace, true, _) => Edit::WordBackspace,
        (NamedKey::Backspace, ..) => Edit::Backspace,
        (NamedKey::Delete, ..) => Edit::Delete,
        (NamedKey::Home, ..) => Edit::Home,
        (NamedKey::End, ..) => Edit::End,
        (NamedKey::ArrowUp, ..) => Edit::Earlier,
        (NamedKey::ArrowDown, ..) => Edit::Later,
        _ => return None,
    };
    Some(Typing::Edit(edit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_typed_and_named_keys_edit() {
        let named = |key, control, flipped| typing(&Key::Named(key), None, control, flipped);
        let character = |text: &str, control| typing(&Key::Character(text.into()), Some(text), control, false);
        assert_eq!(character("q", false), Some(Typing::Insert("q".to_owned())), "no order to quit");
        assert_eq!(typing(&Key::Named(NamedKey::Space), Some(" "), false, false), Some(Typing::Insert(" ".to_owned())));
        assert_eq!(
            (named(NamedKey::Enter, false, false), named(NamedKey::Tab, false, false)),
            (Some(Typing::Say), None)
        );
        assert_eq!(named(NamedKey::ArrowLeft, false, true), Some(Typing::Edit(Edit::Right)));
        assert_eq!(named(NamedKey::ArrowLeft, true, false), Some(Typing::Edit(Edit::WordLeft)));
        assert_eq!(character("u", true), Some(Typing::Edit(Edit::Clear)));
        assert_eq!(typing(&Key::Named(NamedKey::F5), Some("\u{1b}"), false, false), None);
    }
}
