//! A subscriber that writes down the tree of spans and events.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Id, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Record},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry::{LookupSpan, Registry},
    util::SubscriberInitExt,
};

#[derive(Clone, Default)]
pub(super) struct Recorder(Arc<Mutex<Vec<Entry>>>);

/// A span or an event.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    id: Option<Id>,
    parent: Option<Id>,
    pub(super) name: String,
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) is_open: bool,
    /// How often it was entered and not left.
    pub(super) depth: i32,
}

impl Recorder {
    /// Writes down what happens on this thread as long as the guard lives.
    pub(super) fn install(&self) -> DefaultGuard {
        Registry::default().with(self.clone()).set_default()
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap().clone()
    }

    /// Names, two blanks deeper for each span around them, with the fields that are asked for.
    pub(super) fn tree(&self, fields: &[&str]) -> Vec<String> {
        let entries = self.entries();
        let depth = |entry: &Entry| {
            let parent_of = |entry: &Entry| {
                let parent = entry.parent.clone()?;
                entries
                    .iter()
                    .find(|other| other.id.as_ref() == Some(&parent))
            };
            std::iter::successors(parent_of(entry), |entry| parent_of(entry)).count()
        };
        let line = |entry: &Entry| {
            let mut line = format!("{}{}", "  ".repeat(depth(entry)), entry.name);
            for field in fields {
                if let Some(value) = entry.get(field) {
                    line += &format!(" {field}={value}");
                }
            }
            line
        };
        entries.iter().map(line).collect()
    }
}

impl Entry {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut named = self.fields.iter().rev().filter(|(field, _)| *field == name);
        named.next().map(|(_, value)| value.as_str())
    }

    fn new(id: Option<Id>, parent: Option<Id>, name: &str) -> Self {
        Self {
            is_open: id.is_some(),
            id,
            parent,
            name: name.to_owned(),
            fields: Vec::new(),
            depth: 0,
        }
    }
}

impl<S> Layer<S> for Recorder
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let parent = context.span(id).and_then(|span| Some(span.parent()?.id()));
        let name = attributes.metadata().name();
        let mut entry = Entry::new(Some(id.clone()), parent, name);
        attributes.record(&mut entry);
        self.0.lock().unwrap().push(entry);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.change(id, |entry| values.record(entry));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let parent = context.event_span(event).map(|span| span.id());
        let target = event.metadata().target();
        let level = event.metadata().level();
        let mut entry = Entry::new(None, parent, &format!("{level} {target}"));
        event.record(&mut entry);
        self.0.lock().unwrap().push(entry);
    }

    fn on_enter(&self, id: &Id, _: Context<'_, S>) {
        self.change(id, |entry| entry.depth += 1);
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        self.change(id, |entry| entry.depth -= 1);
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.change(&id, |entry| {
            entry.is_open = false;
            // The registry gives ids out again.
            entry.depth = 0;
        });
    }
}

impl Recorder {
    /// Changes the span that has the id now: the registry gives ids out again.
    fn change(&self, id: &Id, change: impl FnOnce(&mut Entry)) {
        let mut entries = self.0.lock().unwrap();
        let entry = entries
            .iter_mut()
            .rev()
            .find(|entry| entry.id.as_ref() == Some(id));
        change(entry.expect("a span that was told of"));
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.push((field.name(), format!("{value:?}")));
    }
}
