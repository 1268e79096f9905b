//! The ids that a process uses, parsed once for all of its calls.

use std::{
    hash::{DefaultHasher, Hasher as _},
    sync::{Arc, OnceLock},
};

use super::Parsed;

/// A process calls few models. One that takes ids from strangers may see any number: those that find no
/// room are parsed and counted each for itself.
const ROOM: usize = 512;
/// How many places are looked at for one id.
const PLACES: usize = 8;

/// Nothing is ever taken out. So an id is found where it was put first, without a lock, and one that has
/// no place will never have one.
pub(super) struct Kept([OnceLock<Arc<Parsed>>; ROOM]);

/// Those of all of the process.
pub(super) static KEPT: Kept = Kept::new();

impl Kept {
    const fn new() -> Self {
        Self([const { OnceLock::new() }; ROOM])
    }

    /// The id, if it was kept.
    pub(super) fn find(&self, id: &str) -> Option<&Parsed> {
        let mut kept = self.places(id).map_while(OnceLock::get);
        kept.find(|kept| *kept.id == *id).map(|kept| &**kept)
    }

    /// Keeps an id for as long as the process runs; gives it back if there is no room.
    pub(super) fn keep(&self, parsed: Parsed) -> Result<&Parsed, Arc<Parsed>> {
        let parsed = Arc::new(parsed);
        for place in self.places(&parsed.id) {
            // Another thread may be quicker, with the same id too.
            let kept = place.get_or_init(|| Arc::clone(&parsed));
            if kept.id == parsed.id {
                return Ok(kept);
            }
        }
        Err(parsed)
    }

    /// Where an id may be, in the order in which places are taken.
    fn places(&self, id: &str) -> impl Iterator<Item = &OnceLock<Arc<Parsed>>> + use<'_> {
        let mut hasher = DefaultHasher::new();
        hasher.write(id.as_bytes());
        let first = hasher.finish() as usize % ROOM;
        (first..first + PLACES).map(|place| &self.0[place % ROOM])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept is found again where it is; what finds no room is given back, and never found.
    #[test]
    fn ids_are_kept_as_long_as_there_is_room() {
        let kept = Kept::new();
        let ids: Vec<_> = (0..2 * ROOM).map(|n| format!("vendor.model-{n}")).collect();
        let mut found = 0;
        for id in &ids {
            assert!(kept.find(id).is_none());
            if let Ok(parsed) = kept.keep(Parsed::new(id).unwrap()) {
                found += 1;
                assert!(std::ptr::eq(parsed, kept.find(id).unwrap()));
            }
        }
        assert!((ROOM / 2..=ROOM).contains(&found), "{found}");
        assert_eq!(
            ids.iter().filter(|id| kept.find(id).is_some()).count(),
            found
        );
        // The same one, of a thread that did not find it yet.
        let first = kept.find(&ids[0]).unwrap();
        let again = kept.keep(Parsed::new(&ids[0]).unwrap());
        assert!(again.is_ok_and(|again| std::ptr::eq(again, first)));
    }
}
