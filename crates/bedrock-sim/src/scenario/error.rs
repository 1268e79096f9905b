//! Why a scenario cannot be used.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A scenario that cannot be used: where it is wrong, and why.
///
/// Displays as `FILE:LINE:COLUMN: reason`, with the parts that are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    file: Option<PathBuf>,
    position: Option<(usize, usize)>,
    reason: String,
}

impl ScenarioError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self {
            file: None,
            position: None,
            reason: reason.into(),
        }
    }

    /// Places the error at a byte of the text.
    pub(super) fn at(mut self, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        self.position = Some((
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        ));
        self
    }

    pub(super) fn in_file(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    /// The file, if the scenario came from one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The line in the text, counted from 1; `None` for a scenario made in code.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.position.map(|(line, _)| line)
    }

    /// The column in the line, in characters, counted from 1.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.position.map(|(_, column)| column)
    }

    /// What is wrong.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
        }
        match self.position {
            Some((line, column)) if self.file.is_some() => write!(f, "{line}:{column}: ")?,
            Some((line, column)) => write!(f, "line {line}, column {column}: ")?,
            None if self.file.is_some() => f.write_str(" ")?,
            None => {}
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ScenarioError {}
