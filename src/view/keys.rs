//! Keys of the window, in one place: what each does, and what the help sheet says of it.

use winit::keyboard::{Key, NamedKey};

use super::{FilmWish, Still, Turn, Wish};

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
    /// The line that is typed.
    Talk,
    /// All that was said.
    History,
    /// A page of what was said: back, or on.
    Page(bool),
    Wish(Wish),
}

/// What a key means; `None` for keys that mean nothing here. A held key repeats only what can be repeated. `listing`: lines
/// to choose from are shown. `film`: a film on demand is shown.
pub fn action(key: &Key, shift: bool, repeated: bool, (listing, film): (bool, bool)) -> Option<Action> {
    let action = match (chosen(key).filter(|_| listing), of_film(key, shift).filter(|_| film)) {
        (Some(turn), _) => Action::Wish(Wish::Streams(turn)),
        (None, Some(wish)) => Action::Wish(Wish::Film(wish)),
        (None, None) => meaning(key, shift)?,
    };
    let repeats = matches!(
        action,
        Action::Page(_)
            | Action::Wish(
                Wish::Louder
                    | Wish::Quieter
                    | Wish::Streams(Turn::Up | Turn::Down)
                    | Wish::Film(FilmWish::Skip(_) | FilmWish::Step(_))
            )
    );
    (!repeated || repeats).then_some(action)
}

fn meaning(key: &Key, shift: bool) -> Option<Action> {
    Some(match key.as_ref() {
        Key::Named(NamedKey::Enter) | Key::Character("q" | "Q") => Action::Quit,
        Key::Named(NamedKey::Escape) => Action::Leave,
        Key::Named(NamedKey::Space) | Key::Character(" ") => Action::Freeze,
        Key::Named(NamedKey::F1) | Key::Character("?" | "h" | "H") => Action::Help,
        Key::Named(NamedKey::ArrowUp) | Key::Character("0") => Action::Wish(Wish::Louder),
        Key::Named(NamedKey::ArrowDown) | Key::Character("9") => Action::Wish(Wish::Quieter),
        Key::Named(NamedKey::Tab) => Action::Wish(Wish::Streams(if shift { Turn::Previous } else { Turn::Next })),
        Key::Character("l" | "L") => Action::Wish(Wish::Streams(Turn::List)),
        Key::Character("f" | "F") => Action::Fullscreen,
        Key::Character("i" | "I") => Action::Figures,
        Key::Character("s") => Action::Snapshot(Still::Png),
        Key::Character("S") => Action::Snapshot(Still::Jpeg),
        Key::Character("m" | "M") => Action::Wish(Wish::Mute),
        Key::Character("t" | "T") => {
            if shift {
                Action::History
            } else {
                Action::Talk
            }
        }
        Key::Named(NamedKey::PageUp) => Action::Page(true),
        Key::Named(NamedKey::PageDown) => Action::Page(false),
        Key::Character("r" | "R") => Action::Wish(Wish::Record),
        _ => return None,
    })
}

/// What a key means to a film on demand.
fn of_film(key: &Key, shift: bool) -> Option<FilmWish> {
    Some(match key.as_ref() {
        Key::Named(NamedKey::Space) | Key::Character(" ") => FilmWish::Pause,
        Key::Named(NamedKey::ArrowLeft) if shift => FilmWish::Step(false),
        Key::Named(NamedKey::ArrowRight) if shift => FilmWish::Step(true),
        Key::Named(NamedKey::ArrowLeft) => FilmWish::Skip(-5),
        Key::Named(NamedKey::ArrowRight) => FilmWish::Skip(5),
        Key::Named(NamedKey::Home) => FilmWish::Home,
        Key::Named(NamedKey::End) => FilmWish::End,
        Key::Character("[") => FilmWish::Speed(false),
        Key::Character("]") => FilmWish::Speed(true),
        Key::Character(text) => FilmWish::Tenth(text.parse().ok().filter(|tenth| *tenth <= 9 && text.len() == 1)?),
        _ => return None,
    })
}

/// What a key means in a list.
fn chosen(key: &Key) -> Option<Turn> {
    match key.as_ref() {
        Key::Named(NamedKey::ArrowUp) => Some(Turn::Up),
        Key::Named(NamedKey::ArrowDown) => Some(Turn::Down),
        Key::Named(NamedKey::Enter) => Some(Turn::Take),
        Key::Named(NamedKey::Escape) => Some(Turn::Leave),
        _ => None,
    }
}

/// What each key does, for the help sheet over the picture and `watch --help`.
pub const HELP: &[(&str, &str)] = &[
    ("q, Enter", "quit"),
    ("Esc", "leave fullscreen, else quit"),
    ("f, double-click", "fullscreen"),
    ("Space", "freeze the picture; pause a film of a library"),
    ("Left, Right", "five seconds back, on; with Shift one picture"),
    ("Home, End, 0–9", "to a film's beginning, its end, its tenths"),
    ("[, ]", "slower, faster"),
    ("s", "snapshot as PNG"),
    ("S", "snapshot as JPEG"),
    ("r", "begin or end a recording"),
    ("m", "mute"),
    ("Up, Down", "louder, softer"),
    ("Tab, Shift+Tab", "next, previous stream of the server"),
    ("l", "list its streams: arrows and Enter choose"),
    ("i", "figures and graph"),
    ("t", "say something to all who watch"),
    ("T", "all that was said; Page Up, Page Down"),
    ("?, h", "these keys"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_repeat_do_not_flicker() {
        let key = |text: &str| Key::Character(text.into());
        let alone = |key: &Key, repeated| action(key, false, repeated, (false, false));
        assert_eq!(alone(&key("f"), false), Some(Action::Fullscreen));
        assert_eq!(alone(&key("f"), true), None);
        assert_eq!(alone(&key("0"), true), Some(Action::Wish(Wish::Louder)));
        assert_eq!(alone(&key("x"), false), None);
        assert_eq!(alone(&Key::Named(NamedKey::Escape), false), Some(Action::Leave));
    }

    #[test]
    fn a_film_has_keys_of_its_own() {
        let film = |wish| Some(Action::Wish(Wish::Film(wish)));
        let pressed = |key: Key, shift| action(&key, shift, false, (false, true));
        let character = |text: &str| Key::Character(text.into());
        assert_eq!(pressed(Key::Named(NamedKey::Space), false), film(FilmWish::Pause));
        assert_eq!(pressed(character("7"), false), film(FilmWish::Tenth(7)));
        assert_eq!(pressed(Key::Named(NamedKey::ArrowLeft), true), film(FilmWish::Step(false)));
        assert_eq!(pressed(character("f"), false), Some(Action::Fullscreen));
        assert_eq!(action(&Key::Named(NamedKey::ArrowRight), false, true, (false, true)), film(FilmWish::Skip(5)));
        assert_eq!(action(&character("]"), false, true, (false, true)), None, "it does not repeat");
    }

    #[test]
    fn a_list_takes_the_arrows_enter_and_escape() {
        let named = |key, shift, listing| action(&Key::Named(key), shift, false, (listing, false));
        let turn = |turn| Some(Action::Wish(Wish::Streams(turn)));
        assert_eq!(named(NamedKey::Tab, false, false), turn(Turn::Next));
        assert_eq!(named(NamedKey::Tab, true, true), turn(Turn::Previous));
        assert_eq!(named(NamedKey::ArrowUp, false, true), turn(Turn::Up));
        assert_eq!(named(NamedKey::Enter, false, true), turn(Turn::Take));
        assert_eq!(named(NamedKey::Escape, false, true), turn(Turn::Leave));
        assert_eq!(named(NamedKey::Enter, false, false), Some(Action::Quit));
        assert_eq!(action(&Key::Named(NamedKey::ArrowDown), false, true, (true, false)), turn(Turn::Down));
    }
}
