//! What ffmpeg is told: any film in, YUV4MPEG2 4:2:0 out, each picture exactly once, and its sound beside it. Ordinary
//! films keep the colours that they are coded in, and are converted as they are read; the rest comes as full-range BT.601.

use std::ffi::OsStr;
use std::os::fd::RawFd;
use std::sync::Arc;

use super::probe::{Film, Matrix, is_still_codec};
use super::sound::SoundPlan;
use super::timeline::Zero;
use crate::ffmpeg::{FfmpegCommand, Reading, quiet};
use crate::media::convert;
use crate::media::tonemap::{ToneMap, Transfer};
use crate::units::{Rate, Size};

/// The descriptors that an ffmpeg inherits to write to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Descriptors {
    pub sound: Option<RawFd>,
    pub stamps: Option<RawFd>,
    pub sound_stamps: Option<RawFd>,
}

/// Everything ffmpeg must be told; the same for every pass of a loop.
#[derive(Clone)]
pub(super) struct Plan {
    pub reading: Reading,
    pub film: Film,
    pub size: Size,
    /// Exactly this rate, for which pictures are added or left out; `None`: each as it is.
    pub rate: Option<Rate>,
    /// A light filter against noise.
    pub denoise: bool,
    /// The sound, if any is wanted.
    pub sound: Option<SoundPlan>,
    /// For an HDR film, which ffmpeg hands over with ten bits.
    pub tones: Option<Arc<ToneMap>>,
    /// Pictures of a steady rate from some place on.
    pub grid: Option<Grid>,
    /// Where in the file reading begins, in seconds.
    pub seek: Option<String>,
}

/// Pictures that are numbered by their moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    /// The stamp of picture 0, in seconds.
    pub zero: f64,
    /// The first that is handed over.
    pub from: u32,
    /// It begins with picture 0, whether or not the film does.
    pub begins: bool,
}

impl Grid {
    /// From stamps to the grid's pictures; the filter rounds to the nearest.
    fn filters(&self, rate: Rate) -> String {
        let begins = if self.begins { ":start_time=0" } else { "" };
        let Self { zero, from, .. } = self;
        let trim = if *from > 0 { format!(",trim=start_pts={from}") } else { String::new() };
        format!("setpts=PTS-({zero:.6})/TB,fps={}/{}{begins}{trim}", rate.num(), rate.den())
    }
}

impl Plan {
    /// The pictures a second that are usual in what comes.
    pub fn usual_rate(&self) -> Rate {
        self.rate.unwrap_or(self.film.rate)
    }

    /// Whether pictures have their stamps written beside them. Live ones are due when they come, but their sound is placed
    /// by them.
    pub fn is_stamped(&self) -> bool {
        !self.reading.live || self.is_sound_stamped()
    }

    /// Whether sound has its stamps written beside it.
    pub fn is_sound_stamped(&self) -> bool {
        self.sound.as_ref().is_some_and(SoundPlan::is_placed_beside)
    }

    /// Whether behind the last picture comes one more, whose stamp is the end of the film. What is fed to ffmpeg may turn
    /// out to be live, and then that picture would be shown.
    pub fn is_end_marked(&self) -> bool {
        !self.reading.live && !self.reading.is_fed()
    }

    /// What the pictures' stamps count from.
    pub fn zero(&self) -> Zero {
        self.sound.as_ref().map_or(Zero::First(0.0), SoundPlan::zero)
    }

    /// The filters in order. Colours that we cannot convert are left to swscale, which takes anything and needs longer.
    pub fn filters(&self) -> String {
        let mut filters: Vec<_> = self.film.turn.filter.map(str::to_owned).into_iter().collect();
        if self.film.interlaced {
            filters.push("bwdif=mode=send_frame".to_owned());
        }
        filters.extend(self.rate.map(|rate| match &self.grid {
            Some(grid) => grid.filters(rate),
            None => format!("fps={}/{}", rate.num(), rate.den()),
        }));
        let (Size { width, height }, film) = (self.size, &self.film);
        if self.tones.is_some() {
            let scale = format!("scale={}:flags={}", self.sides(), self.scaler());
            filters.push(format!("{scale}{}:out_color_matrix=bt2020:out_range=limited", swscale_input(film)));
        } else if self.matrix().is_none() {
            let scale = format!("scale={}:flags={}+accurate_rnd+full_chroma_int", self.sides(), self.scaler());
            filters.push(format!("{scale}{}:out_color_matrix=bt601:out_range=full", swscale_input(film)));
        } else if self.fits_changes() || (film.width, film.height) != (width.into(), height.into()) {
            filters.push(format!("scale={}:flags={}", self.sides(), self.scaler()));
        }
        filters.push(format!("format={}", self.format()));
        if self.fits_changes() {
            filters.push(format!("pad={width}:{height}:-1:-1"));
        }
        // After the scaling, which leaves fewer pixels to look at.
        filters.extend(self.denoise.then(|| "hqdn3d".to_owned()));
        filters.push("setsar=1".to_owned());
        filters.join(",")
    }

    /// Whether pictures of another shape are to be fitted in. ffmpeg pads to even sides only.
    fn fits_changes(&self) -> bool {
        self.film.changing && self.size.width.is_multiple_of(2) && self.size.height.is_multiple_of(2)
    }

    fn format(&self) -> &'static str {
        if self.tones.is_some() { "yuv420p10le" } else { "yuv420p" }
    }

    /// Width and height to scale to. Where the size may change in mid-film, another shape keeps itself, as large as it
    /// goes; a fiftieth more or less is the rounding of this one.
    fn sides(&self) -> String {
        let Size { width, height } = self.size;
        if !self.fits_changes() {
            return format!("{width}:{height}");
        }
        let usual = format!("lt(abs(dar*{height}/{width}-1),0.02)");
        format!(
            "w='if({usual},{width},min({width},2*round({height}*dar/2)))':\
             h='if({usual},{height},min({height},2*round({width}/dar/2)))'"
        )
    }

    /// Behind the other filters: microseconds, the end's mark, and a line for each picture to the inherited descriptor `to`.
    fn stamping(&self, to: i32) -> String {
        // On a grid stamps are numbers of pictures, and the last is the end.
        if self.grid.is_some() {
            return format!(",metadata=mode=add:key=t:value=1,metadata=mode=print:key=t:direct=1:file='pipe\\:{to}'");
        }
        let end = if self.is_end_marked() { ",tpad=stop=1:stop_mode=clone" } else { "" };
        // The filter prints pictures that have the key only.
        let key = "metadata=mode=add:key=t:value=1";
        format!(",settb=1/1000000{end},{key},metadata=mode=print:key=t:direct=1:file='pipe\\:{to}'")
    }

    /// To half the width or less, each pixel is the mean of those it stands for: it takes a fifth less of the whole
    /// decoding than bicubic, which would look at four times as many (measured, 1280 → 500).
    fn scaler(&self) -> &'static str {
        if self.film.width >= 2 * u32::from(self.size.width) { "area" } else { "bicubic" }
    }

    /// What the pictures are converted from as they are read. `None` for full-range films and those that are not YUV:
    /// they go through swscale's formats.
    pub fn matrix(&self) -> Option<convert::Matrix> {
        match self.film.matrix {
            _ if self.film.full_range => None,
            Matrix::Bt601 => Some(convert::Matrix::BT601),
            Matrix::Bt709 => Some(convert::Matrix::BT709),
            Matrix::Smpte240m => Some(convert::Matrix::SMPTE240M),
            Matrix::Bt2020 => Some(convert::Matrix::BT2020),
            Matrix::Other => None,
        }
    }

    /// So few pixels a second that one thread decodes them several times faster than they are shown. More threads would
    /// only talk to each other: at 720p one takes a quarter less processor time than two (measured).
    fn is_light(&self) -> bool {
        let pixels = f64::from(self.film.width) * f64::from(self.film.height) * self.film.rate.fps();
        pixels <= LIGHT
    }

    /// Pictures at `pipe:1`; sound, if it is planned, and stamps at the descriptors that ffmpeg inherits.
    pub fn command(&self, program: &OsStr, to: &Descriptors) -> FfmpegCommand {
        let mut command = quiet(program);
        if !self.reading.live {
            // ffmpeg would make the earliest stamp zero, for which it has to read on until it has seen one of each stream,
            // and would close what it takes for jumps: also pictures that lie far apart.
            command.arg("-copyts");
        }
        let threads = if self.is_light() { &["-threads", "1", "-filter_threads", "1"][..] } else { &[] };
        if self.film.still {
            // Of some formats ffmpeg knows no rate, and would announce one that is none.
            command.args(["-r", &self.film.rate.to_string()]);
            // What its EXIF says is done by our own filter.
            if is_still_codec(&self.film.codec) {
                command.arg("-noautorotate");
            }
        }
        match (&self.seek, &self.grid) {
            (Some(seek), _) => {
                let threads = &["-noaccurate_seek", "-ss", seek, "-threads", THREADS, "-filter_threads", "1"];
                self.reading.input(&mut command, threads);
            }
            (None, Some(_)) => self.reading.input(&mut command, &["-threads", THREADS, "-filter_threads", "1"]),
            (None, None) => self.reading.input(&mut command, threads),
        }
        let sound = self.sound.as_ref().zip(to.sound);
        if sound.is_some() && self.reading.twice {
            // What its sound is has been found out already; looking for it would hold the pictures up.
            let known = if self.film.indexed && !self.reading.live { &["-probesize", "32"][..] } else { &[] };
            self.reading.input(&mut command, &[known, &["-vn", "-sn", "-dn"]].concat());
        }
        command.args(["-map", &format!("0:{}", self.film.stream), "-an", "-sn", "-dn"]);
        let stamping = to.stamps.map(|to| self.stamping(to)).unwrap_or_default();
        command.args(["-vf", &format!("{}{stamping}", self.filters()), "-fps_mode", "passthrough"]);
        // More than eight bits in YUV4MPEG2 are ffmpeg's own extension, for which it wants to be asked.
        let extension = if self.tones.is_some() { &["-strict", "-1"][..] } else { &[] };
        command.args(["-pix_fmt", self.format()]).args(extension).args(["-f", "yuv4mpegpipe", "pipe:1"]);
        if let Some((sound, ear)) = sound {
            // A file is opened a second time for its sound, so that one whose sound lies far from its pictures keeps
            // neither pipe waiting: ffmpeg then reads on in whichever of the two inputs is behind.
            sound.output(&mut command, u32::from(self.reading.twice), ear, to.sound_stamps);
        }
        command
    }
}

/// The size a film is shown at: square pixels, within 1920×1080 or `width` wide, its shape kept.
pub(super) fn fit(film: &Film, width: Option<u16>) -> Size {
    let (num, den) = (f64::from(film.aspect.0), f64::from(film.aspect.1));
    fit_sides((f64::from(film.width) * num / den, f64::from(film.height)), film.aspect.0 == film.aspect.1, width)
}

/// The same of pictures with square pixels.
pub(super) fn fit_size(size: Size, width: Option<u16>) -> Size {
    fit_sides((f64::from(size.width), f64::from(size.height)), true, width)
}

fn fit_sides(own: (f64, f64), square: bool, width: Option<u16>) -> Size {
    let scale = match width {
        Some(width) => f64::from(width.max(1)) / own.0,
        None => (1920.0 / own.0).min(1080.0 / own.1).min(1.0),
    };
    let side = |length: f64| length.round().clamp(1.0, f64::from(LONGEST_SIDE)) as u16;
    let even = |length: f64| side((length / 2.0).round().max(1.0) * 2.0);
    match width {
        Some(width) => Size::new(width.clamp(1, LONGEST_SIDE), even(own.1 * scale)),
        None if scale < 1.0 => Size::new(even(own.0 * scale), even(own.1 * scale)),
        // Untouched, odd or not, unless its samples are not square.
        None if square => Size::new(side(own.0), side(own.1)),
        None => Size::new(even(own.0), side(own.1)),
    }
}

/// One line for people; `sound` says what there is to hear.
pub(super) fn describe(film: &Film, size: Size, rate: Rate, sound: &str) -> String {
    format!("{}, {sound}", describe_pictures(film, size, rate))
}

/// The same without the sound.
pub(super) fn describe_pictures(film: &Film, size: Size, rate: Rate) -> String {
    let mut line = format!("{} {}×{}", film.codec, film.width, film.height);
    if (film.width, film.height) != (size.width.into(), size.height.into()) {
        line.push_str(&format!(" → {size}"));
    }
    line.push_str(match film.transfer {
        Some(Transfer::Pq) => " HDR (PQ)",
        Some(Transfer::Hlg) => " HDR (HLG)",
        None => "",
    });
    line.push_str(&format!(", {rate} fps"));
    if let Some(length) = film.length {
        line.push_str(&format!(", {:.1} s", length.as_secs_f64()));
    }
    line
}

fn swscale_input(film: &Film) -> String {
    let matrix = match film.matrix {
        Matrix::Bt601 => "bt601",
        Matrix::Bt709 => "bt709",
        Matrix::Smpte240m => "smpte240m",
        Matrix::Bt2020 => "bt2020",
        Matrix::Other => return String::new(),
    };
    format!(":in_color_matrix={matrix}:in_range={}", if film.full_range { "full" } else { "limited" })
}

/// Pixels a second of 1080p at 30 fps; one thread decodes ordinary H.264 at five times that and more.
const LIGHT: f64 = 64e6;
/// A place is to be reached soon, and every picture from the keyframe before it decoded for that.
const THREADS: &str = "2";
/// As long as a side of a YUV4MPEG2 picture may be.
pub(super) const LONGEST_SIDE: u16 = 16_384;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SoundOptions;
    use crate::source::probe::parse;

    fn plan(sound: bool) -> Plan {
        let json = br#"{"streams":[{"codec_type":"video","width":64,"height":48,"pix_fmt":"yuv420p","avg_frame_rate":"25/1",
            "r_frame_rate":"25/1"},{"index":1,"codec_type":"audio","codec_name":"aac","sample_rate":"48000","channels":2}],
            "format":{"format_name":"mov,mp4"}}"#;
        let found = parse(json).expect("a film");
        let film = found.film.clone().expect("pictures");
        let (address, name) = ("file:a".into(), "a".to_owned());
        let reading = Reading { address, local: true, paced: false, live: false, twice: true, name };
        let sound = SoundPlan::choose(&found, sound.then(SoundOptions::default), "a").expect("a track");
        Plan {
            reading,
            size: fit(&film, None),
            film,
            rate: None,
            denoise: false,
            sound,
            tones: None,
            grid: None,
            seek: None,
        }
    }

    fn arguments(plan: &Plan, ear: Option<i32>) -> String {
        let to = Descriptors { sound: ear, ..Descriptors::default() };
        let command = plan.command(OsStr::new("ffmpeg"), &to);
        command.get_args().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn without_sound_ffmpeg_is_told_nothing_of_it() {
        let pictures = "-hide_banner -nostdin -nostats -loglevel error -copyts -protocol_whitelist file,pipe,crypto,data -threads 1 \
                        -filter_threads 1 -i file:a -map 0:0 -an -sn -dn -vf format=yuv420p,setsar=1 -fps_mode \
                        passthrough -pix_fmt yuv420p -f yuv4mpegpipe pipe:1";
        let mute = arguments(&plan(false), None);
        assert!(mute.ends_with(pictures), "{mute}");
        let both = arguments(&plan(true), Some(9));
        assert_eq!(both.matches(" -i file:a").count(), 2);
        assert!(both.ends_with("-map 1:1 -vn -sn -dn -af aresample=44100:async=1:first_pts=0 -ac 2 -ar 44100 -c:a pcm_s16le -flush_packets 1 -f s16le pipe:9"), "{both}");
        let to = Descriptors { stamps: Some(7), ..Descriptors::default() };
        let stamped = plan(true).command(OsStr::new("ffmpeg"), &to);
        let stamped: Vec<_> = stamped.get_args().map(|argument| argument.to_string_lossy()).collect();
        let beside = "setsar=1,settb=1/1000000,tpad=stop=1:stop_mode=clone,metadata=mode=add:key=t:value=1,\
                      metadata=mode=print:key=t:direct=1:file='pipe\\:7'";
        assert!(stamped.iter().any(|argument| argument.ends_with(beside)), "{stamped:?}");
        let (mut changing, mut odd) = (plan(false), plan(false));
        (changing.film.changing, odd.film.changing, odd.size.width) = (true, true, 63);
        assert!(changing.filters().ends_with(":flags=bicubic,format=yuv420p,pad=64:48:-1:-1,setsar=1"));
        assert_eq!(odd.filters(), "scale=63:48:flags=bicubic,format=yuv420p,setsar=1");
        let denoised = Plan { denoise: true, ..plan(false) };
        assert!(arguments(&denoised, None).contains("-vf format=yuv420p,hqdn3d,setsar=1"));
    }
}
