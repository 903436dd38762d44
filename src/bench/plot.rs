//! The figures as a picture: a bar for each case, the part that the bare loop needs set off.

use std::fmt::Write as _;

use super::report::{Report, Row};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 250.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 64.0;
const ROW: f64 = 34.0;
const BAR: f64 = 20.0;

impl Report {
    /// Processor time per million elements as an SVG document.
    #[must_use]
    pub(crate) fn plot(&self) -> String {
        let most = self
            .rows
            .iter()
            .map(|row| row.cpu_per_million.max(row.bare_cpu_per_million))
            .fold(f64::MIN_POSITIVE, f64::max);
        let height = TOP + ROW * self.rows.len() as f64 + 24.0;
        let scale = (WIDTH - LEFT - RIGHT) / most;
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _written = write!(
            out,
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="12" y="24" font-size="16">Processor seconds of the router per million records</text>
<text x="12" y="44" fill="#555555">dark: the bare client library loop in the same run; {}</text>
"##,
            escape(&self.machine)
        );
        for (row, index) in self.rows.iter().zip(0_u32..) {
            bar(&mut out, row, TOP + ROW * f64::from(index), scale);
        }
        out.push_str("</svg>\n");
        out
    }
}

fn bar(out: &mut String, row: &Row, top: f64, scale: f64) {
    let (whole, bare) = (
        row.cpu_per_million * scale,
        row.bare_cpu_per_million * scale,
    );
    let text = top + BAR * 0.75;
    let end = LEFT + whole.max(bare) + 6.0;
    let _written = write!(
        out,
        r##"<text x="12" y="{text:.1}">{}</text>
<rect x="{LEFT}" y="{top:.1}" width="{whole:.1}" height="{BAR}" fill="#7fb3d5"/>
<rect x="{LEFT}" y="{top:.1}" width="{bare:.1}" height="{BAR}" fill="#1f4e79"/>
<text x="{end:.1}" y="{text:.1}">{:.2} s, {:.0} k/s</text>
"##,
        escape(row.about),
        row.cpu_per_million,
        row.per_core_second / 1e3,
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
