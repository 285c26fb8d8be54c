//! Standard output behind a thread: whoever stops reading it fills a pipe, and must not halt the stream with it.

use std::io::Write;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

/// Standard output was closed by whoever read it: not an error, but a reason to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// Lines on their way to a sink that may stall.
pub struct Lines {
    sender: Option<Sender<String>>,
    /// Disconnects when the thread has written all it will.
    written: Receiver<()>,
}

impl Lines {
    pub fn to(mut sink: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (sender, lines) = bounded::<String>(KEPT);
        let (writing, written) = bounded(0);
        thread::Builder::new().name("lines".into()).spawn(move || {
            // Ends with the sender, or with whoever read; the sender hears of that at its next line.
            lines.into_iter().try_for_each(|line| sink.write_all(line.as_bytes()).and_then(|()| sink.flush())).ok();
            drop(writing);
        })?;
        Ok(Self { sender: Some(sender), written })
    }

    /// Never waits: a line for which there is no room is left out. Figures run from the start, so a later line has them.
    pub fn put(&self, line: String) -> Result<(), Closed> {
        match self.sender.as_ref().map(|sender| sender.try_send(line)) {
            Some(Ok(()) | Err(TrySendError::Full(_))) => Ok(()),
            Some(Err(TrySendError::Disconnected(_))) | None => Err(Closed),
        }
    }

    /// A line that is not to be left out: waits a while for a reader that stalls.
    pub fn put_patiently(&self, line: String) {
        if let Some(sender) = &self.sender {
            // Nobody reads: there is nobody to tell.
            sender.send_timeout(line, PATIENCE).ok();
        }
    }

    /// Writes the last line, and waits a while for a reader that stalls.
    pub fn end(&mut self, line: String) {
        if let Some(sender) = self.sender.take() {
            // Nobody reads: there is nobody to tell.
            sender.send_timeout(line, PATIENCE).ok();
        }
        self.wait();
    }

    fn wait(&self) -> bool {
        self.written.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Disconnected)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if self.sender.take().is_some() {
            self.wait();
        }
    }
}

/// Lines kept for a reader that stalls: four minutes of figures.
const KEPT: usize = 256;
/// How long the end waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Takes a line each time it is told to.
    struct Stalling(Receiver<()>, Sender<String>);

    impl Write for Stalling {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.1.send(String::from_utf8_lossy(bytes).into_owned()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stalls_holds_up_nobody_and_gets_the_rest_when_it_goes_on() {
        let (go, told) = bounded(2 * KEPT);
        let (got, lines) = bounded(2 * KEPT);
        let mut out = Lines::to(Stalling(told, got)).expect("a thread");
        // One may be in the writer's hands already; the ten beyond that are left out.
        (0..KEPT + 11).for_each(|n| assert_eq!(out.put(format!("{n}\n")), Ok(())));
        (0..2 * KEPT).for_each(|_| go.send(()).expect("room"));
        out.end("end\n".into());
        drop(out);
        let lines: Vec<String> = lines.try_iter().collect();
        assert!((KEPT + 1..=KEPT + 2).contains(&lines.len()), "{}", lines.len());
        assert_eq!(lines[..KEPT], (0..KEPT).map(|n| format!("{n}\n")).collect::<Vec<_>>());
        assert_eq!(lines.last().map(String::as_str), Some("end\n"));
    }

    #[test]
    fn a_reader_that_left_is_noticed() {
        let (go, told) = bounded(0);
        let (got, _lines) = bounded(0);
        let out = Lines::to(Stalling(told, got)).expect("a thread");
        assert_eq!(out.put("1\n".into()), Ok(()));
        drop(go);
        assert!(out.wait());
        assert_eq!(out.put("2\n".into()), Err(Closed));
    }
}
