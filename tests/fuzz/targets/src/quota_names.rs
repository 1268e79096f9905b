//! Names of rows in Service Quotas.

use tower_bedrock::{
    ModelId,
    quotas::{AccountQuotas, ServiceQuota},
};

const VALUE: u64 = 200;

/// A name, and in the next line a model id: the row is about a model, which stands in its name, or it
/// is passed over; case means nothing; and what is found for the id is this row.
pub fn quota_names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (name, id) = text.split_once('\n').unwrap_or((text, ""));
    let quotas =
        |name: &str| AccountQuotas::new([ServiceQuota::new("L-00000000", name, VALUE as f64)]);
    let account = quotas(name);
    assert_eq!(account.rows().len() + account.ignored(), 1);
    let shouted = quotas(&name.to_ascii_uppercase());
    for (row, shouted) in account.rows().iter().zip(shouted.rows()) {
        assert!(!row.paths.is_empty() && name.contains(&row.model));
        assert_eq!((row.value, row.limit), (VALUE, shouted.limit));
        assert_eq!(row.paths, shouted.paths);
    }
    assert_eq!(account.rows().len(), shouted.rows().len());

    let Ok(model) = id.parse::<ModelId>() else {
        return;
    };
    match account.of(&model) {
        Ok(found) => {
            let rows: Vec<_> = found.rows().collect();
            assert_eq!(rows.len(), 1);
            assert!(rows[0].paths.contains(&model.quota_path()));
            drop(found.quota());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
