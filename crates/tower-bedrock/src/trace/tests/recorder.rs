//! A subscriber that writes down spans and events.

use std::{
    fmt, iter,
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
    filter::filter_fn,
    layer::{Context, SubscriberExt},
    registry::{LookupSpan, Registry},
    util::SubscriberInitExt,
};

#[derive(Clone, Default)]
pub(super) struct Recorder(Arc<Mutex<Vec<Entry>>>);

/// A span, or an event, whose name is its level and target.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    /// Of a span. The registry gives ids out again.
    id: Option<Id>,
    /// Which entry the span around it is.
    pub(super) parent: Option<usize>,
    pub(super) name: String,
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) is_open: bool,
    /// How often it was entered and not left.
    pub(super) depth: i32,
}

impl Recorder {
    /// Writes down what happens on this thread as long as the guard lives, but for what the SDK has
    /// to say.
    pub(super) fn install(&self) -> DefaultGuard {
        let ours = filter_fn(|meta| !meta.target().starts_with("aws_"));
        let recorder = self.clone().with_filter(ours);
        Registry::default().with(recorder).set_default()
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap().clone()
    }

    /// Names, two blanks deeper for each span around them, with the fields that are asked for.
    pub(super) fn tree(&self, fields: &[&str]) -> Vec<String> {
        let entries = self.entries();
        let around = |entry: &Entry| entry.parent.map(|parent| &entries[parent]);
        let line = |entry: &Entry| {
            let depth = iter::successors(around(entry), |entry| around(entry)).count();
            let mut line = format!("{}{}", "  ".repeat(depth), entry.name);
            for field in fields {
                if let Some(value) = entry.get(field) {
                    let name = field.rsplit('.').next().unwrap_or_default();
                    line += &format!(" {name}={value}");
                }
            }
            line
        };
        entries.iter().map(line).collect()
    }

    fn add(&self, id: Option<Id>, around: Option<Id>, name: String) -> usize {
        let mut entries = self.0.lock().unwrap();
        let parent = around.and_then(|id| last(&entries, &id));
        entries.push(Entry {
            is_open: id.is_some(),
            id,
            parent,
            name,
            ..Entry::default()
        });
        entries.len() - 1
    }

    fn change(&self, id: &Id, change: impl FnOnce(&mut Entry)) {
        let mut entries = self.0.lock().unwrap();
        let index = last(&entries, id).expect("a span that was told of");
        change(&mut entries[index]);
    }
}

/// The span that has the id now.
fn last(entries: &[Entry], id: &Id) -> Option<usize> {
    let has_it = |entry: &Entry| entry.id.as_ref() == Some(id);
    entries.iter().rposition(has_it)
}

impl Entry {
    /// What was recorded last under the name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut named = self.fields.iter().filter(|(field, _)| *field == name);
        named.next_back().map(|(_, value)| value.as_str())
    }
}

impl<S> Layer<S> for Recorder
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let parent = context.span(id).and_then(|span| Some(span.parent()?.id()));
        let name = attributes.metadata().name().to_owned();
        let index = self.add(Some(id.clone()), parent, name);
        attributes.record(&mut self.0.lock().unwrap()[index]);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.change(id, |entry| values.record(entry));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let parent = context.event_span(event).map(|span| span.id());
        let meta = event.metadata();
        let index = self.add(None, parent, format!("{} {}", meta.level(), meta.target()));
        event.record(&mut self.0.lock().unwrap()[index]);
    }

    fn on_enter(&self, id: &Id, _: Context<'_, S>) {
        self.change(id, |entry| entry.depth += 1);
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        self.change(id, |entry| entry.depth -= 1);
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.change(&id, |entry| entry.is_open = false);
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
