//! One takeover as it was on the wire, true to scale: the README's picture.

use core::time::Duration;

use ha_tests::{clock::Stamp, pair::Side};

use crate::{
    contender::Contender,
    figure::millis,
    plot::{colour, document, label, push},
    wire::{Said, What},
};

const WIDTH: f64 = 900.0;
/// Of the names at the left.
const LEFT: f64 = 150.0;
const RIGHT: f64 = 20.0;
/// Of a lane, in which a node's frames stand.
const LANE: f64 = 30.0;
/// Of the heading of a contender.
const HEADING: f64 = 26.0;
const TOP: f64 = 10.0;
/// What is shown before the last advertisement, and after the deadline.
const AROUND: Duration = Duration::from_millis(22);
/// Of the scale.
const STEP: Duration = Duration::from_millis(10);

/// What was said around the death of node A.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) contender: Contender,
    /// Of node B (RFC 9568 §6.1).
    pub(crate) master_down: Duration,
    /// When A was killed.
    pub(crate) death: Stamp,
    pub(crate) said: Vec<Said>,
}

impl Story {
    /// A's last advertisement before B's first.
    fn last(&self) -> Option<Stamp> {
        let taken = self.said.iter().find(|one| one.at >= self.death && one.from == Side::B)?.at;
        let mut before = self.said.iter().rev().filter(|one| one.at < taken);
        Some(before.find(|one| one.advert_of(Side::A).is_some())?.at)
    }
}

/// The picture as SVG: a band for each story that has a takeover in it.
pub(crate) fn svg<'a>(stories: impl Iterator<Item = &'a Story>) -> String {
    let told: Vec<(&Story, Stamp)> =
        stories.filter_map(|story| Some((story, story.last()?))).collect();
    let master_down = told.iter().map(|(story, _)| story.master_down).max().unwrap_or_default();
    let scale = Scale { end: master_down + AROUND };
    let (mut body, mut y) = (String::new(), TOP);
    for (story, last) in told {
        band(&mut body, &scale, y, story, last);
        y += HEADING + 2.0 * LANE;
    }
    let mut at = Duration::ZERO;
    while at <= scale.end {
        let x = scale.x(millis(at));
        label(&mut body, x - 10.0, y + 14.0, &format!("{} ms", at.as_millis()));
        at += STEP;
    }
    document(WIDTH, y + 24.0, 12, &body)
}

/// Time from the last advertisement on to the place in the picture.
struct Scale {
    end: Duration,
}

impl Scale {
    fn x(&self, at: f64) -> f64 {
        let (begin, end) = (-millis(AROUND), millis(self.end));
        LEFT + (at - begin) / (end - begin) * (WIDTH - LEFT - RIGHT)
    }

    fn shows(&self, at: f64) -> bool {
        (-millis(AROUND)..=millis(self.end)).contains(&at)
    }
}

fn band(body: &mut String, scale: &Scale, y: f64, story: &Story, last: Stamp) {
    let colour = colour(story.contender);
    // Signed: what was before the last advertisement stands left of it.
    let since_last = |at: Stamp| millis(at.since(last)) - millis(last.since(at));
    let (begin, deadline) = (scale.x(0.0), scale.x(millis(story.master_down)));
    let (lanes, bottom) = (y + HEADING, y + HEADING + 2.0 * LANE - 6.0);
    push(
        body,
        &format!(
            "<rect x=\"{begin:.1}\" y=\"{lanes:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#eeeeee\"/>",
            deadline - begin,
            bottom - lanes
        ),
    );
    let later = |is: fn(&Said) -> bool| {
        let found = story.said.iter().find(|one| one.at > last && is(one));
        found.map_or_else(String::new, |one| {
            format!("{:.2} ms", since_last(one.at) - millis(story.master_down))
        })
    };
    let heading = format!(
        "{}: beyond the protocol's wait, first advertisement {}, first gratuitous ARP {}",
        story.contender.name(),
        later(|one| one.advert_of(Side::B).is_some()),
        later(|one| one.is_announcement_of(Side::B)),
    );
    label(body, 8.0, y + 16.0, &heading);
    for (side, name, lane) in
        [(Side::A, "Master, killed", lanes), (Side::B, "Backup, takes over", lanes + LANE)]
    {
        let middle = lane + LANE / 2.0 - 3.0;
        label(body, 8.0, middle + 4.0, name);
        for one in story.said.iter().filter(|one| one.from == side) {
            let at = since_last(one.at);
            if scale.shows(at) {
                mark(body, scale.x(at), middle, colour, one.what);
            }
        }
    }
    label(body, begin + 6.0, lanes + LANE + 16.0, "three intervals and the skew time");
}

/// A bar for an advertisement, a hollow dot for a gratuitous ARP.
fn mark(body: &mut String, x: f64, y: f64, colour: &str, what: What) {
    let shape = match what {
        What::Advert(_) => format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"3\" height=\"18\" fill=\"{colour}\"/>",
            x - 1.5,
            y - 9.0
        ),
        What::Announcement(_) => format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\" fill=\"none\" stroke=\"{colour}\" \
             stroke-width=\"1.5\"/>"
        ),
    };
    push(body, &shape);
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_last_advertisement_is_the_origin() {
        let at = |millis: u64| Stamp::from_epoch(Duration::from_millis(1000 + millis));
        let said = |millis, from, what| Said { at: at(millis), from, segment: 0, what };
        let arp = What::Announcement(Ipv4Addr::new(198, 51, 100, 1));
        let story = Story {
            contender: Contender::Ours,
            master_down: Duration::from_millis(36),
            death: at(105),
            said: vec![
                said(90, Side::A, What::Advert(1)),
                said(100, Side::A, What::Advert(1)),
                said(140, Side::B, What::Advert(1)),
                said(141, Side::B, arp),
                said(150, Side::A, What::Advert(1)),
            ],
        };
        assert_eq!(story.last(), Some(at(100)));
        let text = svg([story].iter());
        assert!(
            text.contains("first advertisement 4.00 ms, first gratuitous ARP 5.00 ms"),
            "{text}"
        );
        assert_eq!(text.matches("width=\"3\"").count(), 4, "{text}");
        assert_eq!(text.matches("r=\"6\"").count(), 1, "{text}");
    }
}
