//! Who answered, second by second.

use std::{collections::BTreeMap, time::Duration};

use bedrock_sim::Ledger;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use tower_bedrock::{Error, Served};

use crate::Result;

/// What became of all calls.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    calls: u32,
    answered: u32,
    /// By another model than the one that was asked for.
    degraded: u32,
    /// The answered calls by the route that answered them, in the order of the ladder.
    served: BTreeMap<usize, Route>,
    seconds: Vec<Second>,
    /// What came over the wire, and what of it would have left Europe.
    wire_requests: u64,
    wire_requests_outside: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    an_error: Option<String>,
}

#[derive(Serialize)]
struct Route {
    route: String,
    calls: u32,
}

/// The calls that were made within a second, by the place of the route that answered.
#[derive(Default, Serialize)]
struct Second {
    served: BTreeMap<usize, u32>,
    failed: u32,
}

impl Report {
    pub(crate) fn add(&mut self, made: Duration, served: std::result::Result<Served, Error>) {
        self.calls += 1;
        let second = usize::try_from(made.as_secs()).unwrap_or(usize::MAX);
        if self.seconds.len() <= second {
            self.seconds.resize_with(second + 1, Second::default);
        }
        let second = &mut self.seconds[second];
        match served {
            Ok(served) => {
                self.answered += 1;
                self.degraded += u32::from(served.degraded);
                let route = self.served.entry(served.route_index);
                let route = route.or_insert_with(|| Route {
                    route: served.route.to_string(),
                    calls: 0,
                });
                route.calls += 1;
                *second.served.entry(served.route_index).or_default() += 1;
            }
            Err(error) => {
                self.an_error = Some(error.to_string());
                second.failed += 1;
            }
        }
    }

    pub(crate) fn set_wire(&mut self, ledger: &Ledger) {
        self.wire_requests = ledger.totals.requests;
        let outside = ledger.quotas.iter().filter(|key| key.path == "global");
        self.wire_requests_outside = outside.map(|key| key.counts.requests).sum();
    }

    /// Every call was answered, by its own route in the end.
    pub(crate) fn is_well(&self) -> bool {
        let last = self.seconds.last();
        let has_returned = last.is_some_and(|last| last.served.keys().all(|&index| index == 0));
        self.answered == self.calls && has_returned && self.wire_requests_outside == 0
    }

    pub(crate) fn print(&self, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string_pretty(self)?);
            return Ok(());
        }
        println!("{}", self.table());
        for (index, route) in &self.served {
            println!("{}: {}", place(*index), route.route);
        }
        println!(
            "{} of {} calls answered, {} of them by another model; {} requests on the wire",
            self.answered, self.calls, self.degraded, self.wire_requests
        );
        if let Some(error) = &self.an_error {
            println!("one of {} errors: {error}", self.calls - self.answered);
        }
        Ok(())
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        let places = self.served.keys().map(|&index| place(index));
        let header = ["second".to_owned()].into_iter().chain(places);
        table.set_header(header.chain(["failed".to_owned()]));
        for (number, second) in self.seconds.iter().enumerate() {
            let counts = self.served.keys().map(|index| second.served.get(index));
            let counts = counts.chain([(second.failed > 0).then_some(&second.failed)]);
            let cells = counts.map(|count| count.map_or_else(String::new, u32::to_string));
            table.add_row([number.to_string()].into_iter().chain(cells));
        }
        for column in table.column_iter_mut() {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

fn place(index: usize) -> String {
    match index {
        0 => "own route".to_owned(),
        rung => format!("rung {rung}"),
    }
}
