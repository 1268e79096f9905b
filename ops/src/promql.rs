//! Which labels the result of a query has, and what in the query cannot be.

use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{
        AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorSelector, parse, token,
        value::ValueType,
    },
};

use crate::series::{Known, Labels, may_be};

/// The labels that the series of a query may have.
///
/// # Errors
///
/// If the query does not parse, or asks for a series, a label or a label's value that does not exist, or
/// matches two sides that cannot match.
pub(crate) fn labels(query: &str, known: &Known) -> Result<Labels, String> {
    of(&parse(query)?, known)
}

/// Every selector in a query.
pub(crate) fn selectors(query: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    collect(&parse(query)?, &mut found);
    Ok(found)
}

fn of(expr: &Expr, known: &Known) -> Result<Labels, String> {
    match expr {
        Expr::VectorSelector(selector) => of_selector(selector, known),
        Expr::MatrixSelector(range) => of_selector(&range.vs, known),
        Expr::Paren(paren) => of(&paren.expr, known),
        Expr::Unary(unary) => of(&unary.expr, known),
        Expr::Subquery(subquery) => of(&subquery.expr, known),
        Expr::Aggregate(aggregate) => of_aggregate(aggregate, known),
        Expr::Binary(binary) => of_binary(binary, known),
        Expr::Call(call) => of_call(call, known),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(Labels::new()),
        Expr::Extension(_) => Err("an extension of PromQL".to_owned()),
    }
}

fn of_selector(selector: &VectorSelector, known: &Known) -> Result<Labels, String> {
    let name = selector.name.as_deref();
    let name = name.ok_or_else(|| format!("`{selector}` names no metric"))?;
    let labels = known
        .labels(name)
        .ok_or_else(|| format!("there is no metric `{name}`"))?;
    for matcher in &selector.matchers.matchers {
        has(labels, &matcher.name, name)?;
        if let Some(value) = values(matcher).find(|value| !may_be(&matcher.name, value)) {
            let label = &matcher.name;
            return Err(format!("`{label}` of `{name}` is never `{value}`"));
        }
    }
    Ok(labels.clone())
}

/// The values that a matcher names one by one.
fn values(matcher: &Matcher) -> impl Iterator<Item = &str> {
    let is_regex = matches!(matcher.op, MatchOp::Re(_) | MatchOp::NotRe(_));
    let is_plain = |value: &&str| value.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let parts = matcher.value.split(move |c| is_regex && c == '|');
    parts.filter(move |value| !value.is_empty() && is_plain(value))
}

fn of_aggregate(aggregate: &AggregateExpr, known: &Known) -> Result<Labels, String> {
    let inner = of(&aggregate.expr, known)?;
    match &aggregate.modifier {
        None => Ok(Labels::new()),
        Some(LabelModifier::Include(by)) => {
            for label in &by.labels {
                has(&inner, label, &aggregate.expr.to_string())?;
            }
            Ok(by.labels.iter().cloned().collect())
        }
        Some(LabelModifier::Exclude(without)) => {
            for label in &without.labels {
                has(&inner, label, &aggregate.expr.to_string())?;
            }
            Ok(less(inner, &without.labels))
        }
    }
}

fn of_binary(binary: &BinaryExpr, known: &Known) -> Result<Labels, String> {
    let (left, right) = (of(&binary.lhs, known)?, of(&binary.rhs, known)?);
    let is_scalar = |expr: &Expr| expr.value_type() == ValueType::Scalar;
    if is_scalar(&binary.lhs) {
        return Ok(right);
    }
    if is_scalar(&binary.rhs) {
        return Ok(left);
    }
    let matching = binary.modifier.as_ref().and_then(|it| it.matching.as_ref());
    let joined = match matching {
        Some(LabelModifier::Include(on)) => {
            for label in &on.labels {
                has(&left, label, &binary.lhs.to_string())?;
                has(&right, label, &binary.rhs.to_string())?;
            }
            on.labels.iter().cloned().collect()
        }
        Some(LabelModifier::Exclude(ignoring)) => less(left.clone(), &ignoring.labels),
        None => left.clone(),
    };
    match binary.op.id() {
        token::T_LOR => Ok(left.union(&right).cloned().collect()),
        token::T_LAND | token::T_LUNLESS => Ok(left),
        // Without `on` or `ignoring`, series with different labels never match.
        _ if matching.is_none() && left != right => Err(format!(
            "`{}` has {left:?} and `{}` has {right:?}: they never match",
            binary.lhs, binary.rhs
        )),
        _ => Ok(joined),
    }
}

fn of_call(call: &Call, known: &Known) -> Result<Labels, String> {
    let mut labels = Labels::new();
    let mut texts = Vec::new();
    for arg in &call.args.args {
        match &**arg {
            Expr::StringLiteral(text) => texts.push(text.val.clone()),
            arg => labels.extend(of(arg, known)?),
        }
    }
    match (call.func.name, texts.as_slice()) {
        ("histogram_quantile", _) => {
            has(&labels, "le", &call.to_string())?;
            labels.remove("le");
        }
        ("label_replace", [to, _, from, _]) => {
            if !from.is_empty() {
                has(&labels, from, &call.to_string())?;
            }
            labels.insert(to.clone());
        }
        _ => {}
    }
    Ok(labels)
}

fn has(labels: &Labels, label: &str, what: &str) -> Result<(), String> {
    if labels.contains(label) {
        Ok(())
    } else {
        Err(format!("`{what}` has no label `{label}`, but {labels:?}"))
    }
}

fn less(mut labels: Labels, gone: &[String]) -> Labels {
    labels.retain(|label| !gone.contains(label));
    labels
}

fn collect(expr: &Expr, found: &mut Vec<String>) {
    match expr {
        Expr::VectorSelector(selector) => found.push(selector.to_string()),
        Expr::MatrixSelector(range) => found.push(range.vs.to_string()),
        Expr::Paren(paren) => collect(&paren.expr, found),
        Expr::Unary(unary) => collect(&unary.expr, found),
        Expr::Subquery(subquery) => collect(&subquery.expr, found),
        Expr::Aggregate(aggregate) => collect(&aggregate.expr, found),
        Expr::Binary(binary) => {
            collect(&binary.lhs, found);
            collect(&binary.rhs, found);
        }
        Expr::Call(call) => call.args.args.iter().for_each(|arg| collect(arg, found)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}
