//! The metrics in the text format of before `OpenMetrics` (version 0.0.4), for whoever does not ask for that.
//!
//! Only how families are described differs here: there a counter is called as its samples are, `info` is
//! no type, and there are no units and no end.

/// `text`, which is `OpenMetrics`, in that format.
pub(super) fn from_open_metrics(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            // The name depends on the type, which comes next.
            help = described.split_once(' ').map(|(_, help)| help);
        } else if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, kind) = described.rsplit_once(' ').unwrap_or((described, "untyped"));
            let (end, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                other => ("", other),
            };
            if let Some(help) = help.take() {
                out.extend(["# HELP ", name, end, " ", help, "\n"]);
            }
            out.extend(["# TYPE ", name, end, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            out.extend([line, "\n"]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_called_as_their_samples() {
        let text = "# HELP ha_build This build.\n# TYPE ha_build info\nha_build_info{version=\"1\"} 1\n\
            # HELP ha_sent Sent.\n# TYPE ha_sent counter\nha_sent_total 7.0\n\
            # HELP ha_ago_seconds Ago.\n# TYPE ha_ago_seconds gauge\n# UNIT ha_ago_seconds seconds\n\
            ha_ago_seconds 0.5\n# EOF\n";
        let expected = "# HELP ha_build_info This build.\n# TYPE ha_build_info gauge\n\
            ha_build_info{version=\"1\"} 1\n# HELP ha_sent_total Sent.\n# TYPE ha_sent_total counter\n\
            ha_sent_total 7.0\n# HELP ha_ago_seconds Ago.\n# TYPE ha_ago_seconds gauge\nha_ago_seconds 0.5\n";
        assert_eq!(from_open_metrics(text), expected);
    }
}
