//! `rise` and `fall`: how often in a row something has to be seen until that is the verdict.

/// The verdict on something that is looked at again and again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opinion {
    pub(super) rise: u32,
    pub(super) fall: u32,
    /// `None` until the first look.
    pub(super) up: Option<bool>,
    /// Looks in a row that disagree with the verdict.
    against: u32,
}

impl Opinion {
    pub(super) fn new(rise: u32, fall: u32, up: Option<bool>) -> Self {
        Self { rise, fall, up, against: 0 }
    }

    /// Takes the result of one look; says the verdict where it changes.
    pub(super) fn hear(&mut self, success: bool) -> Option<bool> {
        let needed = match self.up {
            // keepalived: at the start one run is enough.
            None => 1,
            Some(up) if up == success => {
                self.against = 0;
                return None;
            }
            Some(true) => self.fall,
            Some(false) => self.rise,
        };
        self.against += 1;
        if self.against < needed {
            return None;
        }
        self.against = 0;
        self.up = Some(success);
        Some(success)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear_all(up: Option<bool>, runs: &[bool]) -> Vec<Option<bool>> {
        let mut opinion = Opinion::new(2, 3, up);
        runs.iter().map(|success| opinion.hear(*success)).collect()
    }

    #[test]
    fn the_first_run_decides_at_once() {
        assert_eq!(hear_all(None, &[true]), [Some(true)]);
        assert_eq!(hear_all(None, &[false]), [Some(false)]);
    }

    #[test]
    fn fall_and_rise_count_runs_in_a_row() {
        let down = hear_all(Some(true), &[false, false, true, false, false, false, false]);
        assert_eq!(down, [None, None, None, None, None, Some(false), None]);
        let up = hear_all(Some(false), &[true, false, true, true, true]);
        assert_eq!(up, [None, None, None, Some(true), None]);
    }
}
