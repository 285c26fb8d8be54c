//! libasound prints to standard error whatever goes wrong in it, each time it is tried again. Here it is collected
//! instead, thread by thread, and what it said first is part of our own sentence.

#[cfg(target_os = "linux")]
pub struct Hush(Option<std::rc::Rc<std::cell::RefCell<alsa::Output>>>);

#[cfg(target_os = "linux")]
impl Hush {
    /// From here on, for the calling thread, and for its whole life.
    pub fn begin() -> Self {
        Self(alsa::Output::local_error_handler().ok())
    }

    /// What was said first since then: the later lines follow from it. Without the function that said it.
    pub fn said(&self) -> Option<String> {
        let output = self.0.as_ref()?.borrow();
        let said = output.buffer_string(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let line = said.lines().next()?.split_once(": ").map_or(said.as_str(), |(_, words)| words);
        Some(line.trim().chars().filter(|c| !c.is_control()).take(200).collect())
    }
}

#[cfg(not(target_os = "linux"))]
pub struct Hush;

#[cfg(not(target_os = "linux"))]
impl Hush {
    pub const fn begin() -> Self {
        Self
    }

    pub const fn said(&self) -> Option<String> {
        None
    }
}
