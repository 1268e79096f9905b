//! Plots, as SVG. Text and lines are of a grey that can be read on white and on black.

use plotters::{
    coord::Shift,
    prelude::*,
    style::{FontDesc, FontFamily, FontStyle, text_anchor},
};

use super::{Report, Scene};
use crate::{Result, figures::CURVE_STEP, policy::Policy};

/// What text and lines are drawn in.
const INK: RGBColor = RGBColor(128, 128, 128);
/// The same as it stands in a file.
const INK_HEX: &str = "#808080";

const ROW: i32 = 34;
const LEFT: i32 = 230;
const WIDTH: i32 = 920;
const TOP: i32 = 64;

/// The colour of a policy: ours are green, the SDK is blue, loops are of the colour of sand.
pub(super) const fn colour(policy: Policy) -> RGBColor {
    match policy {
        Policy::Plain => RGBColor(150, 150, 150),
        Policy::Exponential => RGBColor(214, 169, 70),
        Policy::TenPercentJitter => RGBColor(224, 129, 58),
        Policy::FullJitter => RGBColor(201, 81, 55),
        Policy::SdkStandard => RGBColor(90, 155, 213),
        Policy::SdkAdaptive => RGBColor(52, 101, 175),
        Policy::TowerResilience => RGBColor(146, 95, 178),
        Policy::Tower => RGBColor(30, 150, 90),
        Policy::InsideSdk => RGBColor(98, 198, 130),
        Policy::Refuses => RGBColor(0, 128, 128),
    }
}

fn font(size: i32) -> TextStyle<'static> {
    FontDesc::new(FontFamily::SansSerif, f64::from(size), FontStyle::Normal).color(&INK)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Makes an SVG that scales with what it stands in, and whose text is of the colour around it when
/// it stands in a page.
pub(super) fn for_page(svg: &str) -> String {
    svg.replace(INK_HEX, "currentColor")
}

impl Report {
    /// Goodput of all policies, a line for each scenario of the first seed.
    pub(super) fn goodput_plot(&self) -> Result<String> {
        let scenes = self.first_seed();
        let mut svg = String::new();
        let rows = i32::try_from(scenes.len())?;
        let height = TOP + ROW * rows + 44;
        let size = (u32::try_from(WIDTH)?, u32::try_from(height)?);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        self.legend(&area)?;
        let x = |share: f64| LEFT + (share.min(1.05) / 1.05 * f64::from(WIDTH - LEFT - 24)) as i32;
        let bottom = TOP + ROW * rows;
        for tenth in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let at = x(tenth);
            let strength = if tenth == 1.0 { 0.8 } else { 0.25 };
            area.draw(&PathElement::new(
                [(at, TOP - 4), (at, bottom)],
                INK.mix(strength),
            ))?;
            let label = format!("{:.0} %", tenth * 100.0);
            let style = font(12).pos(text_anchor::Pos::new(
                text_anchor::HPos::Center,
                text_anchor::VPos::Top,
            ));
            area.draw(&Text::new(label, (at, bottom + 6), style))?;
        }
        let style = font(12).pos(text_anchor::Pos::new(
            text_anchor::HPos::Center,
            text_anchor::VPos::Top,
        ));
        let caption = "answered, as a share of what an oracle could";
        area.draw(&Text::new(caption, (x(0.5), bottom + 24), style))?;
        for (number, scene) in (0..).zip(&scenes) {
            let y = TOP + ROW * number + ROW / 2;
            let style = font(13).pos(text_anchor::Pos::new(
                text_anchor::HPos::Right,
                text_anchor::VPos::Center,
            ));
            area.draw(&Text::new(scene.storm.title, (LEFT - 14, y), style))?;
            let line = [(x(0.0), y), (x(1.05), y)];
            area.draw(&PathElement::new(line, INK.mix(0.15)))?;
            for cell in &scene.cells {
                let at = (x(cell.figures.goodput), y + nudge(cell.policy));
                let radius = if cell.policy.is_ours() { 6 } else { 5 };
                area.draw(&Circle::new(
                    at,
                    radius,
                    colour(cell.policy).mix(0.9).filled(),
                ))?;
            }
        }
        area.present()?;
        drop(area);
        Ok(svg)
    }

    fn legend(&self, area: &Area<'_>) -> Result<()> {
        let policies = self.policies();
        for (number, policy) in (0..).zip(policies) {
            let (column, row) = (number % 5, number / 5);
            let at = (18 + column * 180, 14 + row * 22);
            area.draw(&Circle::new(at, 5, colour(policy).filled()))?;
            let style = font(13).pos(text_anchor::Pos::new(
                text_anchor::HPos::Left,
                text_anchor::VPos::Center,
            ));
            area.draw(&Text::new(policy.id(), (at.0 + 11, at.1), style))?;
        }
        Ok(())
    }
}

/// How far above or below its line a policy is drawn, so that those with the same figure can be told
/// apart.
fn nudge(policy: Policy) -> i32 {
    let number = Policy::ALL.iter().position(|&other| other == policy);
    let number = number.and_then(|n| i32::try_from(n).ok()).unwrap_or(4);
    (number - 4) * 2
}

impl Scene {
    /// The part of the calls that is answered, by when they are made.
    pub(super) fn curve_plot(&self) -> Result<String> {
        let mut svg = String::new();
        let points = self.cells.iter().map(|cell| cell.figures.curve.len());
        let end = points.max().unwrap_or(1).max(2) as f64 * CURVE_STEP as f64;
        {
            let area = SVGBackend::with_string(&mut svg, (920, 240)).into_drawing_area();
            let mut chart = ChartBuilder::on(&area)
                .margin(8)
                .x_label_area_size(34)
                .y_label_area_size(52)
                .build_cartesian_2d(0.0..end, 0.0..1.02)?;
            chart
                .configure_mesh()
                .axis_style(INK.mix(0.6))
                .bold_line_style(INK.mix(0.2))
                .light_line_style(TRANSPARENT)
                .label_style(font(12))
                .x_desc("when calls are made, in seconds")
                .axis_desc_style(font(12))
                .x_labels(8)
                .y_labels(5)
                .x_label_formatter(&|seconds| format!("{seconds:.0}"))
                .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
                .draw()?;
            if let Some((from, until)) = self.trouble {
                let corners = [(from, 0.0), (until, 1.02)];
                chart.draw_series([Rectangle::new(corners, INK.mix(0.12).filled())])?;
            }
            for cell in &self.cells {
                let width = if cell.policy.is_ours() { 3 } else { 2 };
                let style = colour(cell.policy).mix(0.9).stroke_width(width);
                let points = (0..).zip(&cell.figures.curve).map(|(n, share)| {
                    let at = (f64::from(n) + 0.5) * CURVE_STEP as f64;
                    (at, *share)
                });
                chart.draw_series(LineSeries::new(points, style))?;
            }
            area.present()?;
        }
        Ok(svg)
    }
}
