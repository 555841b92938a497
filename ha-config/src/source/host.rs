//! What a configuration may ask of the host that reads it. The only way out of this crate; who
//! implements it does the input and output, and sets limits to it.

/// Files, environment and names of the host.
pub trait Host {
    /// The paths that match `pattern`, which has no braces: sorted, and none if there is none. A
    /// pattern without wildcards matches the file of that name, if there is one; one that ends
    /// in `/` matches directories only.
    fn glob(&self, pattern: &str) -> Vec<String>;

    /// The text of a file of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// Why it cannot be read: a part of a sentence, without the name of the file.
    fn read(&self, path: &str, bytes_max: usize) -> Result<String, String>;

    /// The value of an environment variable, for `${_ENV NAME}`.
    fn variable(&self, name: &str) -> Option<String>;

    /// The absolute path of the directory that the configuration is in, for `${_PWD}` and for
    /// relative names of included files.
    fn directory(&self) -> &str;

    /// What `@id` lines are compared with, and the value of `${_INSTANCE}`.
    fn config_id(&self) -> &str;

    /// Whether a file that is to be included and is not there is an error, unless `include_check`
    /// says otherwise.
    fn needs_all_files(&self) -> bool {
        false
    }

    /// Where `${_RANDOM}` begins: the same seed gives the same numbers.
    fn seed(&self) -> u64;
}

/// A host with nothing on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nowhere;

impl Host for Nowhere {
    fn glob(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn read(&self, _: &str, _: usize) -> Result<String, String> {
        Err("there are no files here".to_owned())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn directory(&self) -> &'static str {
        ""
    }

    fn config_id(&self) -> &'static str {
        ""
    }

    fn seed(&self) -> u64 {
        0
    }
}
