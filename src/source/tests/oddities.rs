//! Files that are no films, or say wrong things of themselves.

use super::*;

#[test]
fn what_is_not_a_film_is_told_in_a_sentence() {
    let folder = TempDir::new().expect("a folder");
    let write = |name: &str, data: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, data).expect("writable");
        path
    };
    let noise: Vec<u8> = (0..40_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\x08mdat";
    // Lab colours, of which ffmpeg knows nothing.
    let head = [&b"8BPS\0\x01\0\0\0\0\0\0\0\x03\0\0\0\x10\0\0\0\x10\0\x08\0\x09"[..], &[0; 14]].concat();
    let lab = [head, vec![128; 16 * 16 * 3]].concat();
    let words = write("words.srt", b"1\n00:00:00,000 --> 00:00:02,000\nHello\n\n");
    for (path, words) in [
        (folder.path().join("none.mp4"), "was not found"),
        (folder.path().to_path_buf(), "is a folder"),
        (write("empty.mp4", b""), "is empty"),
        (write("noise.mp4", &noise), "is not a film"),
        (words, "has no picture in it"),
        (write("photo.heic", heic), "is a HEIC or AVIF picture"),
        (write("lab.psd", &lab), "is not a film that ffmpeg can read (Error while decoding"),
    ] {
        let error = try_open(&file(&path), Options::default()).err().expect("no film").to_string();
        assert!(error.contains(words) && error.contains([';', ':']), "{error}");
        assert!(!error.contains('\n') && !error.contains("file:"), "{error}");
    }
}

#[test]
fn h264_copied_into_avi_has_its_own_rate_and_avi_from_a_pipe_no_length() {
    let folder = TempDir::new().expect("a folder");
    let film = make(&folder, "a.mp4", "-f lavfi -i testsrc2=size=64x48:rate=25:duration=2 -c:v libx264", &[]);
    let copied = make(&folder, "copied.avi", &format!("-i {} -c copy", film.display()), &[]);
    let Info { rate, pictures, length, .. } = open_with(&file(&copied), Options::default()).close();
    assert_eq!((rate.fps(), pictures, length), (25.0, Some(50), Some(Duration::from_secs(2))));
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(&film).args(["-c:v", "mpeg4", "-f", "avi", "-"]);
    let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).output().expect("ffmpeg is installed").stdout;
    let path = folder.path().join("piped.avi");
    std::fs::write(&path, piped).expect("writable");
    let source = open_pipe(std::fs::File::open(path).expect("made").into(), Options::default()).expect("a film");
    let Info { length, details, .. } = source.close();
    assert_eq!((length, details.as_str()), (None, "mpeg4 64×48, 25 fps, no sound"));
}

#[test]
fn an_index_at_the_end_is_told_of_each_pipe() {
    let words = crate::ffmpeg::Words::new("[mov,mp4 @ 0x1] moov atom not found", "pipe:0", "/tmp/fifo");
    let named = crate::ffmpeg::Named { input: "pipe:0".to_owned(), name: "/tmp/fifo".to_owned() };
    let error = run::no_film(&words, true, &named).to_string();
    assert!(error.starts_with("/tmp/fifo has its index at its end") && error.contains("faststart"), "{error}");
}
