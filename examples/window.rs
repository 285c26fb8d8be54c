//! A moving gradient in a window, and how long each frame took from its order to the screen: `cargo run --example
//! window [FRAMES]`. Shows how to use `udpstream::view`: pictures go in shared, and the window says when each was on the screen.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use udpstream::clock;
use udpstream::media::Canvas;
use udpstream::units::{Size, Time};
use udpstream::view::{self, Frame, Happened, Order};

const SIZE: Size = Size::new(1_280, 720);

fn main() -> std::process::ExitCode {
    let count = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
    let mut sent = Vec::new();
    let (stamp, stamps) = mpsc::channel::<Time>();
    let happened = |happened| match happened {
        Happened::Opened => println!("opened"),
        Happened::Resized(size) => println!("{size} large"),
        Happened::Presented { id, at } => {
            sent.extend(stamps.try_iter());
            println!("frame {id} after {:?}", at.since(sent[id as usize]));
        }
        Happened::Withheld { id } => println!("frame {id} could not be seen"),
        Happened::Snapshot { id, .. } => println!("frame {id} is to be saved"),
        Happened::Said(text) => println!("said: {text}"),
        Happened::Wished(wish) => println!("wished: {wish:?}"),
        Happened::Quit => println!("quit"),
    };
    let paint = move |handle: view::Handle| {
        std::thread::spawn(move || {
            for id in 0..count {
                let mut canvas = Canvas::new(SIZE);
                gradient(canvas.pixels_mut(), id);
                stamp.send(clock::now()).ok();
                match handle.show(Frame { canvas: Arc::new(canvas), id }) {
                    Ok(superseded) => superseded.iter().for_each(|frame| println!("frame {} came too late", frame.id)),
                    Err(_) => return,
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

fn gradient(pixels: &mut [u32], shift: u64) {
    let width = usize::from(SIZE.width);
    for (y, row) in (0_u32..).zip(pixels.chunks_exact_mut(width)) {
        let green = y * 255 / u32::from(SIZE.height);
        for (x, pixel) in (0_u32..).zip(row) {
            let red = (x + shift as u32) % 256;
            let grid = x % 64 == 0 || y % 64 == 0;
            *pixel = if grid { 0x00FF_FFFF } else { red << 16 | green << 8 | 0x40 };
        }
    }
}
