//! Where data is processed: the regions, and the areas that profiles cover.
//!
//! Which regions a profile sends to differs a little from model to model, so a profile stands for all
//! regions that AWS lists for its prefix (BEDROCK.md §4, CDK).

use super::{ModelId, ProfilePrefix, Residency};
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

    /// The regions of the table that belong to it.
    const fn regions(self) -> u64 {
        let gov = of_prefix(UsGov);
        match self {
            Self::Commercial => ((1 << REGIONS.len()) - 1) & !gov,
            Self::UsGov => gov,
            _ => 0,
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

    /// One region; the home region, whose name is not known, for `None`.
    pub(crate) fn region(region: Option<&'a str>) -> Self {
        match region {
            None => Self {
                home: true,
                ..Self::NOWHERE
            },
            Some(name) => match index(name) {
                Some(index) => Self {
                    regions: 1 << index,
                    ..Self::NOWHERE
                },
                None => Self {
                    other: Some(name),
                    ..Self::NOWHERE
                },
            },
        }
    }

    /// What lies around `region`, as wide as `width` allows.
    ///
    /// Countries and geographies are those that have a profile; where there is none, the area is the
    /// next narrower one. So the United States are a geography.
    pub(crate) fn around(region: Option<&'a str>, width: Residency) -> Self {
        let alone = Self::region(region);
        let (Some(name), true) = (region, width > Residency::InRegion) else {
            return alone;
        };
        if width == Residency::Global {
            return alone.and(Self {
                worlds: Partition::of(name) as u8,
                ..Self::NOWHERE
            });
        }
        let prefix = match width {
            Residency::Country => country_of(name),
            _ => geo_of(name).or_else(|| country_of(name)),
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

    /// Where a call to `model` through the endpoint of `region` may be processed; `None` if the id
    /// does not tell.
    pub(crate) fn of(model: Option<&ModelId>, region: Option<&'a str>) -> Option<Self> {
        let source = Self::region(region);
        let Some(model) = model else {
            return Some(source);
        };
        model.residency()?;
        Some(match model.prefix() {
            Some(prefix) => source.and(Self::profile(prefix)),
            None => source,
        })
    }

    /// Whether all of it is in the table.
    pub(crate) const fn is_known(self) -> bool {
        self.other.is_none() && !self.home
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
        for world in [Partition::Commercial, Partition::UsGov] {
            if self.worlds & world as u8 != 0 {
                regions |= world.regions();
            }
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

/// Whether both regions belong to the same world; unknown ones are at home.
pub(crate) fn are_of_one_world(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Partition::of(one) == Partition::of(other),
        (None, None) => true,
        _ => false,
    }
}

/// The width of the narrowest area around `region` that has a profile.
pub(crate) fn narrowest_width(region: Option<&str>) -> Residency {
    let Some(region) = region else {
        return Residency::InRegion;
    };
    if country_of(region).is_some() {
        Residency::Country
    } else if geo_of(region).is_some() {
        Residency::Geo
    } else {
        Residency::InRegion
    }
}

/// The profile of the country that `region` lies in.
pub(crate) fn country_of(region: &str) -> Option<ProfilePrefix> {
    REGIONS[index(region)?].country
}

/// The profile of the geography that `region` lies in.
pub(crate) fn geo_of(region: &str) -> Option<ProfilePrefix> {
    REGIONS[index(region)?].geo
}

fn index(region: &str) -> Option<usize> {
    REGIONS.binary_search_by(|row| row.name.cmp(region)).ok()
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
mod tests {
    use super::*;

    /// The search by name finds every region, and a prefix stands for what AWS lists.
    #[test]
    fn every_region_is_found_by_its_name() {
        for (place, row) in REGIONS.iter().enumerate() {
            assert_eq!(index(row.name), Some(place), "{}", row.name);
        }
        let names = |prefix| -> Vec<&str> {
            let regions = Area::profile(prefix).regions;
            let rows = REGIONS.iter().enumerate();
            rows.filter(|(place, _)| regions & 1 << place != 0)
                .map(|(_, row)| row.name)
                .collect()
        };
        assert_eq!(names(Jp), ["ap-northeast-1", "ap-northeast-3"]);
        assert_eq!(names(Au), ["ap-southeast-2", "ap-southeast-4"]);
        assert_eq!(
            names(Us),
            ["us-east-1", "us-east-2", "us-west-1", "us-west-2"]
        );
        assert_eq!(names(UsGov), ["us-gov-east-1", "us-gov-west-1"]);
        assert_eq!(names(Eu).len(), 8);
        assert_eq!(names(Apac).len(), 13);
        assert!(names(ProfilePrefix::Global).is_empty());
    }

    /// A whole world holds regions that nobody has heard of yet, but none of another world.
    #[test]
    fn worlds_do_not_mix() {
        let commercial = Area::around(Some("eu-west-1"), Residency::Global);
        for (region, is_inside) in [
            ("ap-northeast-1", true),
            ("eu-east-9", true),
            ("us-gov-west-1", false),
            ("us-gov-central-7", false),
            ("cn-north-1", false),
            ("eusc-de-east-1", false),
            ("us-iso-east-1", false),
        ] {
            let place = Area::region(Some(region));
            assert_eq!(commercial.contains(place), is_inside, "{region}");
        }
        let government = Area::around(Some("us-gov-west-1"), Residency::Global);
        assert!(government.contains(Area::region(Some("us-gov-east-1"))));
        assert!(!government.contains(Area::region(Some("us-east-1"))));
        assert!(!government.contains(Area::profile(ProfilePrefix::Global)));
        let china = Area::around(Some("cn-north-1"), Residency::Global);
        assert!(china.contains(Area::region(Some("cn-northwest-1"))));
        assert!(!china.contains(Area::profile(ProfilePrefix::Global)));
    }
}
