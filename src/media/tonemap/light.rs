//! What one HDR colour looks like on an SDR screen, exactly and slowly: code → light → tone curve → BT.709 → code.

use super::Transfer;
use crate::media::convert::Matrix;

/// The way of one colour. All light is linear; that of the film is in cd/m², that of the screen from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Light {
    transfer: Transfer,
    curve: Curve,
}

impl Light {
    pub fn new(transfer: Transfer, peak: f64) -> Self {
        Self { transfer, curve: Curve::new(peak) }
    }

    /// Limited-range BT.2020 of ten bits → full-range BT.601 of eight, not rounded.
    pub fn shown(&self, code: [f64; 3]) -> [f64; 3] {
        let screen = within_bt709(self.screen(coded(code).map(|value| value.clamp(0.0, 1.0))));
        let [y, u, v] = Matrix::BT601.yuv_of(screen.map(|light| 255.0 * srgb_code(light)));
        [y, u + 128.0, v + 128.0]
    }

    /// The screen's light, where it may lack the colour: outside of 0 to 1.
    fn screen(&self, coded: [f64; 3]) -> [f64; 3] {
        let film = match self.transfer {
            Transfer::Pq => coded.map(pq_light),
            Transfer::Hlg => hlg_light(coded),
        };
        to_bt709(self.curve.bend(film))
    }

    /// Whether a film of up to 1000 cd/m² may have this code, and BT.709 has its colour.
    #[cfg(test)]
    pub fn has(&self, code: [f64; 3]) -> bool {
        let coded = coded(code);
        let inside = |values: [f64; 3], most: f64| values.iter().all(|value| (0.0..=most).contains(value));
        let most = if self.transfer == Transfer::Pq { pq_code(1_000.0) } else { 1.0 };
        inside(coded, most) && inside(self.screen(coded), 1.0)
    }
}

/// Red, green and blue of a limited-range code.
fn coded([y, u, v]: [f64; 3]) -> [f64; 3] {
    Matrix::BT2020.rgb_of([(y - 64.0) / 876.0, (u - 512.0) / 896.0, (v - 512.0) / 896.0])
}

/// What a film holds where it shows `light`, red, green and blue of BT.2020 in cd/m²; not rounded.
#[cfg(test)]
pub(super) fn code_of(transfer: Transfer, light: [f64; 3]) -> [f64; 3] {
    let coded = match transfer {
        Transfer::Pq => light.map(pq_code),
        Transfer::Hlg => {
            let luminance = Matrix::BT2020.yuv_of(light)[0] / HLG_PEAK;
            let factor = luminance.max(1e-9).powf((1.0 - HLG_GAMMA) / HLG_GAMMA) / HLG_PEAK;
            light
                .map(|light| 12.0 * light * factor)
                .map(|scene| if scene <= 1.0 { scene.sqrt() / 2.0 } else { HLG_A * (scene - HLG_B).ln() + HLG_C })
        }
    };
    let [y, u, v] = Matrix::BT2020.yuv_of(coded);
    [64.0 + 876.0 * y, 512.0 + 896.0 * u, 512.0 + 896.0 * v]
}

/// Up to the knee light stays as it is; from there to the film's peak a hyperbola, as steep as the line it goes on from,
/// rises to the screen's white. A shoulder as the EETF of Report ITU-R BT.2390-8, 5.4.1, has it (later BT.2408-7, annex 5),
/// but not flat at its end: there, a peak of 1000 cd/m² leaves 4 levels of 255 for all that is above 450, here 7.
#[derive(Clone, Copy, Debug)]
struct Curve {
    /// As a share of white, and at least 1.
    peak: f64,
    hardness: f64,
}

impl Curve {
    fn new(peak: f64) -> Self {
        let peak = (peak / WHITE).max(1.0);
        Self { peak, hardness: 1.0 / (1.0 - KNEE) - 1.0 / (peak - KNEE) }
    }

    /// Light of the film → light of the screen. All channels by the same factor, so that the hue stays: the one that the
    /// brightest of them needs.
    fn bend(&self, film: [f64; 3]) -> [f64; 3] {
        let brightest = film.into_iter().fold(0.0, f64::max) / WHITE;
        let above = (brightest.min(self.peak) - KNEE).max(0.0);
        let factor = (brightest.min(KNEE) + above / (1.0 + self.hardness * above)) / brightest.max(f64::MIN_POSITIVE);
        film.map(|light| light / WHITE * factor)
    }
}

/// The EOTF of SMPTE ST 2084:2014, 5.1.
fn pq_light(code: f64) -> f64 {
    let power = code.powf(1.0 / PQ_M2);
    PQ_PEAK * ((power - PQ_C1).max(0.0) / (PQ_C2 - PQ_C3 * power)).powf(1.0 / PQ_M1)
}

/// The inverse of the EOTF, SMPTE ST 2084:2014, 5.2.
#[cfg(test)]
fn pq_code(light: f64) -> f64 {
    let power = (light / PQ_PEAK).powf(PQ_M1);
    ((PQ_C1 + PQ_C2 * power) / (1.0 + PQ_C3 * power)).powf(PQ_M2)
}

/// The EOTF of ITU-R BT.2100-2, table 5, of a screen that shows black as none: what the scene was, then the OOTF.
fn hlg_light(coded: [f64; 3]) -> [f64; 3] {
    let scene =
        coded.map(|code| if code <= 0.5 { code * code / 3.0 } else { (((code - HLG_C) / HLG_A).exp() + HLG_B) / 12.0 });
    let luminance = Matrix::BT2020.yuv_of(scene)[0];
    let factor = HLG_PEAK * luminance.powf(HLG_GAMMA - 1.0);
    scene.map(|light| light * factor)
}

/// Report ITU-R BT.2407-0, 2: the primaries of BT.2020 as those of BT.709. Here with more digits, so that greys stay grey.
fn to_bt709([red, green, blue]: [f64; 3]) -> [f64; 3] {
    [
        1.660_491 * red - 0.587_641 * green - 0.072_850 * blue,
        -0.124_550 * red + 1.132_900 * green - 0.008_350 * blue,
        -0.018_151 * red - 0.100_579 * green + 1.118_730 * blue,
    ]
}

/// A colour that BT.709 does not have goes a part of the way to the grey of its luminance, and is then clipped. The whole
/// way would make full green and full cyan pale, and clipping alone makes neighbouring colours one.
fn within_bt709(light: [f64; 3]) -> [f64; 3] {
    let grey = Matrix::BT709.yuv_of(light)[0];
    let lowest = light.into_iter().fold(0.0, f64::min);
    let whole = if lowest < 0.0 { lowest / (lowest - grey) } else { 0.0 };
    light.map(|value| (value + (grey - value) * whole * TOWARDS_GREY).clamp(0.0, 1.0))
}

/// IEC 61966-2-1, 5.2.
fn srgb_code(light: f64) -> f64 {
    if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
}

/// SMPTE ST 2084:2014, 4.
const PQ_M1: f64 = 2_610.0 / 16_384.0;
const PQ_M2: f64 = 2_523.0 / 4_096.0 * 128.0;
const PQ_C1: f64 = 3_424.0 / 4_096.0;
const PQ_C2: f64 = 2_413.0 / 4_096.0 * 32.0;
const PQ_C3: f64 = 2_392.0 / 4_096.0 * 32.0;
/// cd/m².
const PQ_PEAK: f64 = 10_000.0;

/// ITU-R BT.2100-2, table 5.
const HLG_A: f64 = 0.178_832_77;
const HLG_B: f64 = 1.0 - 4.0 * HLG_A;
const HLG_C: f64 = 0.559_910_73;
/// Of a screen of 1000 cd/m².
const HLG_GAMMA: f64 = 1.2;
const HLG_PEAK: f64 = 1_000.0;

/// Report ITU-R BT.2408-4, table 1: what paper and captions have, and so the white of an SDR screen; cd/m².
const WHITE: f64 = 203.0;
/// As a share of white: 122 cd/m². White then comes out as 232 of 255, and 23 levels are left for what is brighter.
const KNEE: f64 = 0.6;
/// The pure colours of BT.2020 at reference white are then within 40 levels of those of BT.709.
const TOWARDS_GREY: f64 = 1.0 / 3.0;
