use super::*;

fn area(region: &str) -> Area<'_> {
    Area::region(place(region))
}

fn place(region: &str) -> Place<'_> {
    KnownRegion::of(region).map_or(Place::Other(region), Place::Known)
}

/// The search by name finds every region and nothing else, and a prefix stands for what AWS
/// lists.
#[test]
fn every_region_is_found_by_its_name() {
    for row in &REGIONS {
        assert_eq!(KnownRegion::of(row.name).unwrap().row().name, row.name);
    }
    for name in ["", "us-east", "us-east-11", "US-EAST-1"] {
        assert_eq!(KnownRegion::of(name), None);
    }
    let names = |prefix| -> Vec<&str> {
        let regions = Area::profile(prefix).regions;
        let rows = REGIONS.iter().enumerate();
        rows.filter(|(index, _)| regions & 1 << index != 0)
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
    let commercial = Area::around(place("eu-west-1"), Residency::Global);
    for (region, is_inside) in [
        ("ap-northeast-1", true),
        ("eu-east-9", true),
        ("us-gov-west-1", false),
        ("us-gov-central-7", false),
        ("cn-north-1", false),
        ("eusc-de-east-1", false),
        ("us-iso-east-1", false),
    ] {
        assert_eq!(commercial.contains(area(region)), is_inside, "{region}");
    }
    let government = Area::around(place("us-gov-west-1"), Residency::Global);
    assert!(government.contains(area("us-gov-east-1")));
    assert!(!government.contains(area("us-east-1")));
    assert!(!government.contains(Area::profile(ProfilePrefix::Global)));
    let china = Area::around(place("cn-north-1"), Residency::Global);
    assert!(china.contains(area("cn-northwest-1")));
    assert!(!china.contains(Area::profile(ProfilePrefix::Global)));
}

/// Every world holds its own regions and nobody else's, and a home without a name may be in any.
#[test]
fn every_world_is_apart_from_every_other() {
    let worlds = [
        ["us-east-1", "eu-west-1"],
        ["us-gov-west-1", "us-gov-east-1"],
        ["cn-north-1", "cn-northwest-1"],
        ["us-iso-east-1", "us-iso-west-1"],
        ["us-isob-east-1", "us-isob-west-1"],
        ["eu-isoe-west-1", "eu-isoe-west-2"],
        ["us-isof-south-1", "us-isof-east-1"],
        ["eusc-de-east-1", "eusc-de-east-2"],
    ];
    for [one, neighbour] in worlds {
        let whole = Area::around(place(one), Residency::Global);
        for [first, other] in worlds {
            let is_same = one == first;
            assert_eq!(whole.contains(area(other)), is_same, "{one}, {other}");
            let may_share = place(neighbour).may_share_a_world(place(first));
            assert_eq!(may_share, is_same, "{neighbour}, {first}");
        }
        assert!(Place::Home.may_share_a_world(place(one)));
    }
}
