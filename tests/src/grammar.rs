//! Configurations by chance, in keepalived's grammar: most of what they say is right, some of it is wrong
//! in the ways in which people get it wrong.
//!
//! Every part begins with its plainest form, so that a shrunk case is a short and plain file.

mod damage;
mod keywords;

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
    sample::{Index, select},
};

use self::{
    damage::Damage,
    keywords::{GLOBAL, GROUP, INSTANCE, Keyword, SCRIPT},
};

/// Beside the main file: what `include` lines of the grammar can name.
pub const INCLUDED: [(&str, &str); 3] = [
    ("global.conf", "global_defs {\n  router_id included\n}\n"),
    ("statement.conf", "dont_track_primary\n"),
    (
        "numbered.conf",
        "vrrp_instance S_${I} {\ninterface eth0\nvirtual_router_id ${I}\n\
         virtual_ipaddress {\n192.0.2.${I}/24\n}\n}\n",
    ),
];

/// The interfaces that the files name.
pub const INTERFACES: [&str; 2] = ["eth0", "eth1"];

/// A file, in parts.
#[derive(Clone, Debug)]
pub struct Case {
    global: Vec<String>,
    scripts: Vec<Vec<String>>,
    instances: Vec<Vec<String>>,
    group: Option<Vec<String>>,
    style: Style,
    damages: Vec<(Damage, Index)>,
}

/// How it is written down.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is there or not, whatever the others are")]
struct Style {
    own_line_braces: bool,
    crlf: bool,
    comments: bool,
    no_final_newline: bool,
    byte_order_mark: bool,
}

/// Any file.
pub fn case() -> impl Strategy<Value = Case> {
    let global = vec(statement(GLOBAL), 0..4);
    let scripts = vec(vec(statement(SCRIPT), 0..3), 0..3);
    let instances = vec(vec(statement(INSTANCE), 0..4), 2..4);
    let group = prop_oneof![3 => Just(None), 1 => vec(statement(GROUP), 0..3).prop_map(Some)];
    let damages = prop_oneof![
        1 => Just(Vec::new()),
        1 => vec((damage::any(), any::<Index>()), 1..3),
    ];
    (global, scripts, instances, group, style(), damages).prop_map(
        |(global, scripts, instances, group, style, damages)| Case {
            global,
            scripts,
            instances,
            group,
            style,
            damages,
        },
    )
}

/// One of the keywords with one of its values; one in twenty is wrong.
fn statement(keywords: &'static [Keyword]) -> impl Strategy<Value = String> {
    (select(keywords), prop_oneof![19 => Just(true), 1 => Just(false)], any::<Index>()).prop_map(
        |(keyword, is_good, index)| {
            let values = if is_good || keyword.bad.is_empty() { keyword.good } else { keyword.bad };
            format!("{} {}", keyword.name, index.get(values)).trim_end().to_owned()
        },
    )
}

fn style() -> impl Strategy<Value = Style> {
    (any::<bool>(), rare(), any::<bool>(), rare(), rare()).prop_map(
        |(own_line_braces, crlf, comments, no_final_newline, byte_order_mark)| Style {
            own_line_braces,
            crlf,
            comments,
            no_final_newline,
            byte_order_mark,
        },
    )
}

fn rare() -> impl Strategy<Value = bool> {
    prop_oneof![15 => Just(false), 1 => Just(true)]
}

impl Case {
    /// The file's text.
    pub fn text(&self) -> String {
        let mut lines = self.lines();
        for (damage, place) in &self.damages {
            damage.apply(&mut lines, *place);
        }
        let line_end = if self.style.crlf { "\r\n" } else { "\n" };
        let mut text = lines.join(line_end);
        if self.style.byte_order_mark {
            text.insert(0, '\u{feff}');
        }
        if !self.style.no_final_newline {
            text.push_str(line_end);
        }
        text
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.style.comments {
            lines.push("! made by chance # and so on".to_owned());
        }
        // Without them, keepalived's verdict on a file with scripts is about nothing else.
        let own = ["enable_script_security".to_owned(), "script_user root".to_owned()];
        self.block(&mut lines, "global_defs", &own, &self.global);
        for (index, script) in self.scripts.iter().enumerate() {
            let own = ["script /bin/true".to_owned()];
            self.block(&mut lines, &format!("vrrp_script chk_{}", index + 1), &own, script);
        }
        if let Some(group) = &self.group {
            let own = ["group {\nVI_1\nVI_2\n}".to_owned()];
            self.block(&mut lines, "vrrp_sync_group VG_1", &own, group);
        }
        for (index, instance) in self.instances.iter().enumerate() {
            let number = index + 1;
            let own = [
                "interface eth0".to_owned(),
                format!("virtual_router_id {number}"),
                format!("virtual_ipaddress {{\n192.0.2.{number}/24\n}}"),
            ];
            self.block(&mut lines, &format!("vrrp_instance VI_{number}"), &own, instance);
        }
        lines
    }

    /// A block with `own` statements and `more`; those with lines of their own are blocks in it.
    fn block(&self, lines: &mut Vec<String>, head: &str, own: &[String], more: &[String]) {
        if self.style.own_line_braces {
            lines.extend([head.to_owned(), "{".to_owned()]);
        } else {
            lines.push(format!("{head} {{"));
        }
        for statement in own.iter().chain(more) {
            lines.extend(statement.split('\n').map(|line| format!("    {line}")));
        }
        lines.push("}".to_owned());
    }
}
