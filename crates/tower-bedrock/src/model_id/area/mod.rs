//! Where data is processed: the regions, and the areas that profiles cover.
//!
//! Which regions a profile sends to differs a little from model to model, so a profile stands for all
//! regions that AWS lists for its prefix (BEDROCK.md §4, CDK).

use super::{ModelId, ProfilePrefix, Residency};
use crate::route::Region;
use ProfilePrefix::{Apac, Au, Ca, Eu, In, Jp, Us, UsGov};

/// A region and the profiles that are named after where it lies.
struct Row {
    name: &'static str,
    country: Option<ProfilePrefix>,
    geo: Option<ProfilePrefix>,
}

const fn row(
    name: &'static str,
    country: Option<ProfilePrefix>,
    geo: Option<ProfilePrefix>,
) -> Row {
    Row { name, country, geo }
}

/// Sorted by name.
const REGIONS: [Row; 36] = [
    row("af-south-1", None, None),
    row("ap-east-1", None, None),
    row("ap-east-2", None, Some(Apac)),
    row("ap-northeast-1", Some(Jp), Some(Apac)),
    row("ap-northeast-2", None, Some(Apac)),
    row("ap-northeast-3", Some(Jp), Some(Apac)),
    row("ap-south-1", Some(In), Some(Apac)),
    row("ap-south-2", Some(In), Some(Apac)),
    row("ap-southeast-1", None, Some(Apac)),
    row("ap-southeast-2", Some(Au), Some(Apac)),
    row("ap-southeast-3", None, Some(Apac)),
    row("ap-southeast-4", Some(Au), Some(Apac)),
    row("ap-southeast-5", None, Some(Apac)),
    // May call `au.`, which does not send there.
    row("ap-southeast-6", None, None),
    row("ap-southeast-7", None, Some(Apac)),
    // May call `us.`, which does not send there from elsewhere.
    row("ca-central-1", Some(Ca), None),
    row("ca-west-1", Some(Ca), None),
    row("eu-central-1", None, Some(Eu)),
    row("eu-central-2", None, Some(Eu)),
    row("eu-north-1", None, Some(Eu)),
    row("eu-south-1", None, Some(Eu)),
    row("eu-south-2", None, Some(Eu)),
    row("eu-west-1", None, Some(Eu)),
    row("eu-west-2", None, Some(Eu)),
    row("eu-west-3", None, Some(Eu)),
    row("il-central-1", None, None),
    // `apac.` may send here, but it lies in no geography of its own.
    row("me-central-1", None, None),
    row("me-south-1", None, None),
    row("mx-central-1", None, None),
    row("sa-east-1", None, None),
    row("us-east-1", None, Some(Us)),
    row("us-east-2", None, Some(Us)),
    row("us-gov-east-1", None, Some(UsGov)),
    row("us-gov-west-1", None, Some(UsGov)),
    row("us-west-1", None, Some(Us)),
    row("us-west-2", None, Some(Us)),
];

/// Regions that a profile sends to beside those that lie in its area.
const APAC_BESIDE: &str = "me-central-1";

/// A world of its own: no data goes from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Partition {
    Commercial = 1,
    UsGov = 1 << 1,
    China = 1 << 2,
    Iso = 1 << 3,
    IsoB = 1 << 4,
    IsoE = 1 << 5,
    IsoF = 1 << 6,
    EuSovereign = 1 << 7,
}

/// A region of the table, by its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KnownRegion(u8);

/// Where a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// In the home region, whose name is not known.
    Home,
    /// In a region of the table.
    Known(KnownRegion),
    /// In a region that is not in the table.
    Other(&'a str),
}

/// A set of places where data may be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area<'a> {
    /// All regions of these partitions.
    worlds: u8,
    /// These regions of the table.
    regions: u64,
    /// A region that is not in the table.
    other: Option<&'a str>,
    /// The home region, where its name is not known.
    home: bool,
}

// === impl Partition ===

impl Partition {
    /// Regions that are not known by name are told by how it starts.
    fn of(region: &str) -> Self {
        const STARTS: [(&str, Partition); 7] = [
            ("us-gov-", Partition::UsGov),
            ("cn-", Partition::China),
            ("us-iso-", Partition::Iso),
            ("us-isob-", Partition::IsoB),
            ("eu-isoe-", Partition::IsoE),
            ("us-isof-", Partition::IsoF),
            ("eusc-", Partition::EuSovereign),
        ];
        let found = STARTS.iter().find(|(start, _)| region.starts_with(start));
        found.map_or(Self::Commercial, |&(_, partition)| partition)
    }

    /// The regions of the table that belong to no other one.
    const COMMERCIAL: u64 = ((1 << REGIONS.len()) - 1) & !of_prefix(UsGov);
}

// === impl KnownRegion ===

impl KnownRegion {
    pub(crate) fn of(region: &str) -> Option<Self> {
        let row = REGIONS.binary_search_by(|row| row.name.cmp(region)).ok()?;
        u8::try_from(row).ok().map(Self)
    }

    pub(crate) const fn name(self) -> &'static str {
        self.row().name
    }

    const fn row(self) -> &'static Row {
        &REGIONS[self.0 as usize]
    }
}

// === impl Place ===

impl<'a> Place<'a> {
    pub(crate) fn of(region: Option<&'a Region>) -> Self {
        match region {
            None => Self::Home,
            Some(region) => {
                let other = Self::Other(region.as_str());
                region.known().map_or(other, Self::Known)
            }
        }
    }

    pub(crate) const fn name(self) -> Option<&'a str> {
        match self {
            Self::Home => None,
            Self::Known(region) => Some(region.name()),
            Self::Other(name) => Some(name),
        }
    }

    /// The profile of the country that it lies in.
    pub(crate) const fn country(self) -> Option<ProfilePrefix> {
        match self {
            Self::Known(region) => region.row().country,
            Self::Home | Self::Other(_) => None,
        }
    }

    /// The profile of the geography that it lies in.
    pub(crate) const fn geo(self) -> Option<ProfilePrefix> {
        match self {
            Self::Known(region) => region.row().geo,
            Self::Home | Self::Other(_) => None,
        }
    }

    /// The width of the narrowest area around it that has a profile.
    pub(crate) fn narrowest_width(self) -> Residency {
        if self.country().is_some() {
            Residency::Country
        } else if self.geo().is_some() {
            Residency::Geo
        } else {
            Residency::InRegion
        }
    }

    /// Whether it is commercial, as far as its name tells.
    pub(crate) fn is_commercial(self) -> bool {
        let partition = self.name().map(Partition::of);
        partition.is_none_or(|partition| partition == Partition::Commercial)
    }

    /// Whether both may belong to the same world: what is not named may be anywhere.
    pub(crate) fn may_share_a_world(self, other: Place<'_>) -> bool {
        match (self.name(), other.name()) {
            (Some(one), Some(other)) => Partition::of(one) == Partition::of(other),
            _ => true,
        }
    }
}

// === impl Area ===

impl<'a> Area<'a> {
    const NOWHERE: Self = Self {
        worlds: 0,
        regions: 0,
        other: None,
        home: false,
    };

    /// One region.
    pub(crate) const fn region(place: Place<'a>) -> Self {
        let mut area = Self::NOWHERE;
        match place {
            Place::Home => area.home = true,
            Place::Known(region) => area.regions = 1 << region.0,
            Place::Other(name) => area.other = Some(name),
        }
        area
    }

    /// What lies around `place`, as wide as `width` allows.
    ///
    /// Countries and geographies are those that have a profile; where there is none, the area is the
    /// next narrower one. So the United States are a geography.
    pub(crate) fn around(place: Place<'a>, width: Residency) -> Self {
        let alone = Self::region(place);
        let prefix = match width {
            Residency::InRegion => None,
            Residency::Country => place.country(),
            Residency::Geo => place.geo().or_else(|| place.country()),
            Residency::Global => {
                let world = place.name().map_or(0, |name| Partition::of(name) as u8);
                return Self {
                    worlds: world,
                    ..alone
                };
            }
        };
        prefix.map_or(alone, |prefix| alone.and(Self::profile(prefix)))
    }

    /// The regions that profiles with `prefix` send to.
    pub(crate) fn profile(prefix: ProfilePrefix) -> Self {
        match prefix {
            ProfilePrefix::Global => Self {
                worlds: Partition::Commercial as u8,
                ..Self::NOWHERE
            },
            _ => Self {
                regions: PROFILES[prefix as usize],
                ..Self::NOWHERE
            },
        }
    }

    /// Where a call to `model` through the endpoint at `place` may be processed; `None` if the id
    /// does not tell.
    pub(crate) fn of(model: Option<&ModelId>, place: Place<'a>) -> Option<Self> {
        let source = Self::region(place);
        let Some(model) = model else {
            return Some(source);
        };
        model.residency()?;
        Some(match model.prefix() {
            Some(prefix) => source.and(Self::profile(prefix)),
            None => source,
        })
    }

    /// What of it is in the table.
    pub(crate) const fn known(self) -> Self {
        Self {
            other: None,
            home: false,
            ..self
        }
    }

    /// Both areas together. Of two regions that are not in the table, the first stays.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            worlds: self.worlds | other.worlds,
            regions: self.regions | other.regions,
            other: self.other.or(other.other),
            home: self.home || other.home,
        }
    }

    pub(crate) fn contains(self, part: Area<'_>) -> bool {
        let mut regions = self.regions;
        if self.worlds & Partition::Commercial as u8 != 0 {
            regions |= Partition::COMMERCIAL;
        }
        if self.worlds & Partition::UsGov as u8 != 0 {
            regions |= PROFILES[UsGov as usize];
        }
        let has_other = part.other.is_none_or(|name| {
            self.other == Some(name) || self.worlds & Partition::of(name) as u8 != 0
        });
        part.worlds & !self.worlds == 0
            && part.regions & !regions == 0
            && has_other
            && (self.home || !part.home)
    }
}

/// What each prefix stands for, by its place in the enum.
const PROFILES: [u64; ProfilePrefix::ALL.len()] = {
    let mut profiles = [0; ProfilePrefix::ALL.len()];
    let mut prefix = 0;
    while prefix < profiles.len() {
        profiles[ProfilePrefix::ALL[prefix] as usize] = of_prefix(ProfilePrefix::ALL[prefix]);
        prefix += 1;
    }
    profiles
};

const fn of_prefix(prefix: ProfilePrefix) -> u64 {
    let mut regions = 0;
    let mut index = 0;
    while index < REGIONS.len() {
        let row = &REGIONS[index];
        let lies_there = is(row.country, prefix) || is(row.geo, prefix);
        let is_beside = is(Some(Apac), prefix) && is_same(row.name, APAC_BESIDE);
        if lies_there || is_beside {
            regions |= 1 << index;
        }
        index += 1;
    }
    regions
}

const fn is(one: Option<ProfilePrefix>, other: ProfilePrefix) -> bool {
    match one {
        Some(one) => one as u8 == other as u8,
        None => false,
    }
}

const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut index = 0;
    while index < one.len() {
        if one[index] != other[index] {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests;
