//! The dashboard as Grafana imports it.

use serde_json::{Map, Value, json};

use crate::dashboard::{Dashboard, Kind, Panel, Query, Row, Threshold, Variable};

pub(crate) const FILE: &str = "grafana/tower-bedrock.json";
/// What is asked for on import, and stands in a variable for those who provision from files.
pub(crate) const DATASOURCE: &str = "${DS_PROMETHEUS}";
pub(crate) const COLUMNS: u32 = 24;
/// Grafana 10.0's; later ones migrate it.
const SCHEMA_VERSION: u32 = 38;
/// Where runbooks are read.
pub(crate) const RUNBOOKS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/ops/README.md");

pub(crate) fn render(dashboard: &Dashboard) -> String {
    let mut text = serde_json::to_string_pretty(&json(dashboard)).unwrap_or_default();
    text.push('\n');
    text
}

fn json(dashboard: &Dashboard) -> Value {
    let mut variables = vec![json!({
        "name": "DS_PROMETHEUS",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "current": {},
        "options": [],
    })];
    variables.extend(dashboard.variables.iter().map(variable));
    json!({
        "__inputs": [{
            "name": "DS_PROMETHEUS",
            "label": "Prometheus",
            "description": "Where the metrics of tower-bedrock are scraped to",
            "type": "datasource",
            "pluginId": "prometheus",
            "pluginName": "Prometheus",
        }],
        "__requires": [
            { "type": "grafana", "id": "grafana", "name": "Grafana", "version": "10.0.0" },
            { "type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0" },
        ],
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": "Calls to Amazon Bedrock through tower-bedrock. Generated from dashboard.toml.",
        "tags": ["bedrock", "tower-bedrock"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "time": { "from": "now-3h", "to": "now" },
        "refresh": "30s",
        "timezone": "browser",
        "links": [{
            "title": "Runbooks",
            "type": "link",
            "url": RUNBOOKS,
            "icon": "doc",
            "targetBlank": true,
        }],
        "annotations": { "list": [{
            "name": "Alerts",
            "datasource": datasource(),
            "enable": true,
            "iconColor": "red",
            "expr": "ALERTS{alertname=~\"Bedrock.*\",alertstate=\"firing\",job=~\"$job\"}",
            "step": "60s",
            "titleFormat": "{{alertname}}",
            "textFormat": "{{model}} {{region}} {{key}}",
        }]},
        "templating": { "list": variables },
        "panels": panels(&dashboard.rows),
    })
}

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": DATASOURCE })
}

fn variable(variable: &Variable) -> Value {
    let mut json = json!({
        "name": variable.name,
        "label": variable.label,
        "type": "query",
        "datasource": datasource(),
        "definition": variable.query,
        "query": { "query": variable.query, "refId": "Variable" },
        "refresh": 2,
        "sort": 1,
        "multi": true,
        "includeAll": true,
        "current": { "selected": true, "text": ["All"], "value": ["$__all"] },
        "options": [],
    });
    if let Some(all) = &variable.all {
        json["allValue"] = json!(all);
    }
    json
}

/// Rows below each other, and in each row its panels from left to right.
fn panels(rows: &[Row]) -> Vec<Value> {
    let mut placed = Vec::new();
    let (mut id, mut y) = (0, 0);
    for row in rows {
        id += 1;
        placed.push(json!({
            "id": id,
            "type": "row",
            "title": row.title,
            "collapsed": false,
            "gridPos": { "x": 0, "y": y, "w": COLUMNS, "h": 1 },
            "panels": [],
        }));
        y += 1;
        let (mut x, mut height) = (0, 0);
        for each in &row.panels {
            if x + each.width > COLUMNS {
                y += height;
                (x, height) = (0, 0);
            }
            id += 1;
            let place = json!({ "x": x, "y": y, "w": each.width, "h": each.height });
            placed.push(panel(each, id, place));
            x += each.width;
            height = height.max(each.height);
        }
        y += height;
    }
    placed
}

fn panel(panel: &Panel, id: u32, place: Value) -> Value {
    let mut json = Map::new();
    let mut set = |key: &str, value| json.insert(key.to_owned(), value);
    set("id", json!(id));
    set("type", json!(panel.kind));
    set("title", json!(panel.title));
    set("description", json!(panel.about.trim()));
    set("datasource", datasource());
    set("gridPos", place);
    if let Some(variable) = &panel.repeat {
        set("repeat", json!(variable));
        set("repeatDirection", json!("h"));
        set("maxPerRow", json!(2));
    }
    set(
        "fieldConfig",
        json!({ "defaults": defaults(panel), "overrides": overrides(panel) }),
    );
    set("options", options(panel.kind));
    let queries = panel.queries.iter().zip('A'..);
    set(
        "targets",
        queries.map(|(query, id)| target(query, id)).collect(),
    );
    Value::Object(json)
}

fn target(query: &Query, id: char) -> Value {
    json!({
        "refId": id,
        "datasource": datasource(),
        "expr": query.expr.trim(),
        "legendFormat": query.legend,
        "editorMode": "code",
        "range": !query.instant,
        "instant": query.instant,
    })
}

fn defaults(panel: &Panel) -> Value {
    let mut json = Map::new();
    let mut set = |key: &str, value| json.insert(key.to_owned(), value);
    if let Some(unit) = &panel.unit {
        set("unit", json!(unit));
    }
    if let Some(decimals) = panel.decimals {
        set("decimals", json!(decimals));
    }
    if let Some(min) = panel.min.or((panel.kind == Kind::Bargauge).then_some(0.0)) {
        set("min", json!(min));
    }
    if let Some(max) = panel.max {
        set("max", json!(max));
    }
    if !panel.mappings.is_empty() {
        let options: Map<_, _> = panel.mappings.iter().zip(0..).map(mapping).collect();
        set("mappings", json!([{ "type": "value", "options": options }]));
    }
    let by_threshold = matches!(panel.kind, Kind::Stat | Kind::Bargauge);
    let mode = if by_threshold {
        "thresholds"
    } else {
        "palette-classic"
    };
    set("color", json!({ "mode": mode }));
    let steps: Vec<_> = panel.thresholds.iter().map(threshold).collect();
    if !steps.is_empty() {
        set("thresholds", json!({ "mode": "absolute", "steps": steps }));
    }
    set("custom", custom(panel));
    Value::Object(json)
}

fn mapping(((value, text, color), index): (&(u32, String, String), usize)) -> (String, Value) {
    let shown = json!({ "text": text, "color": color, "index": index });
    (value.to_string(), shown)
}

fn threshold(threshold: &Threshold) -> Value {
    match threshold {
        Threshold::Base(color) => json!({ "color": color, "value": null }),
        Threshold::From(value, color) => json!({ "color": color, "value": value }),
    }
}

fn custom(panel: &Panel) -> Value {
    match panel.kind {
        Kind::Stat | Kind::Bargauge => json!({}),
        Kind::StateTimeline => json!({ "fillOpacity": 80, "lineWidth": 0 }),
        Kind::Timeseries => json!({
            "drawStyle": if panel.bars { "bars" } else { "line" },
            "lineWidth": 1,
            "fillOpacity": if panel.stacked { 30 } else { 8 },
            "gradientMode": "none",
            "showPoints": "never",
            "spanNulls": false,
            "axisSoftMin": 0,
            "stacking": { "group": "A", "mode": if panel.stacked { "normal" } else { "none" } },
            "thresholdsStyle": { "mode": if panel.thresholds.is_empty() { "off" } else { "dashed" } },
        }),
    }
}

/// Series with a colour of their own, and limits as bare lines above what is stacked.
fn overrides(panel: &Panel) -> Vec<Value> {
    let fixed = |color: &str| json!({ "mode": "fixed", "fixedColor": color });
    let colored = panel.colors.iter().map(|(name, color)| {
        json!({
            "matcher": { "id": "byName", "options": name },
            "properties": [{ "id": "color", "value": fixed(color) }],
        })
    });
    let lines = panel.queries.iter().filter_map(|query| {
        let color = query.line.as_deref()?;
        let name = query.legend.split("{{").next().unwrap_or_default().trim();
        Some(json!({
            "matcher": { "id": "byRegexp", "options": format!("/^{name}/") },
            "properties": [
                { "id": "color", "value": fixed(color) },
                { "id": "custom.fillOpacity", "value": 0 },
                { "id": "custom.lineStyle", "value": { "fill": "dash", "dash": [10, 10] } },
                { "id": "custom.stacking", "value": { "group": "A", "mode": "none" } },
            ],
        }))
    });
    colored.chain(lines).collect()
}

fn options(kind: Kind) -> Value {
    let last = json!({ "calcs": ["lastNotNull"], "fields": "", "values": false });
    let tooltip = json!({ "mode": "multi", "sort": "desc" });
    match kind {
        Kind::Stat => json!({
            "reduceOptions": last,
            "colorMode": "value",
            "graphMode": "area",
            "textMode": "value",
            "justifyMode": "auto",
            "orientation": "auto",
        }),
        Kind::Bargauge => json!({
            "reduceOptions": last,
            "displayMode": "basic",
            "orientation": "horizontal",
            "showUnfilled": true,
            "valueMode": "color",
        }),
        Kind::StateTimeline => json!({
            "alignValue": "left",
            "mergeValues": true,
            "rowHeight": 0.8,
            "showValue": "auto",
            "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true },
            "tooltip": tooltip,
        }),
        Kind::Timeseries => json!({
            "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] },
            "tooltip": tooltip,
        }),
    }
}
