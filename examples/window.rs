//! A moving gradient in a window, and how long each frame took from its order to the screen: `cargo run --example
//! window [FRAMES]`. Shows how to use `udpstream::view`: buffers go in by value and come back.

use std::sync::mpsc;
use std::time::Duration;

use udpstream::clock;
use udpstream::units::{Size, Time};
use udpstream::view::{self, Frame, Happened, Order};

fn main() -> std::process::ExitCode {
    let count = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
    let (buffers, returned) = mpsc::channel();
    let mut sent = Vec::new();
    let (stamp, stamps) = mpsc::channel::<Time>();
    let happened = |happened| match happened {
        Happened::Opened => println!("opened"),
        Happened::Presented { id, at } => {
            sent.extend(stamps.try_iter());
            println!("frame {id} after {:?}", at.since(sent[id as usize]));
        }
        Happened::Returned(frame) => drop(buffers.send(frame.pixels)),
        Happened::Quit => println!("quit"),
    };
    let paint = move |handle: view::Handle| {
        std::thread::spawn(move || {
            for id in 0..count {
                let mut pixels: Vec<u32> = returned.try_recv().unwrap_or_default();
                gradient(&mut pixels, id);
                stamp.send(clock::now()).ok();
                if handle.send(Order::Show(Frame { size: SIZE, pixels, id })).is_err() {
                    return;
                }
                std::thread::park_timeout(Duration::from_millis(33));
            }
            handle.send(Order::Close).ok();
        });
    };
    match view::run("udpstream window example", SIZE, paint, happened) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn gradient(pixels: &mut Vec<u32>, shift: u64) {
    pixels.clear();
    for y in 0..u32::from(SIZE.height) {
        let green = y * 255 / u32::from(SIZE.height);
        let row = (0..u32::from(SIZE.width)).map(|x| {
            let red = (x + shift as u32) % 256;
            let grid = x % 64 == 0 || y % 64 == 0;
            if grid { 0x00FF_FFFF } else { red << 16 | green << 8 | 0x40 }
        });
        pixels.extend(row);
    }
}

const SIZE: Size = Size::new(1280, 720);
