//! Where JSON in fragments ends.

/// Whether fragments make a whole JSON object, by its brackets alone.
#[derive(Debug, Default)]
pub(crate) struct Completeness {
    depth: u32,
    begun: bool,
    in_string: bool,
    escaped: bool,
}

impl Completeness {
    pub(crate) fn push(&mut self, fragment: &str) {
        for byte in fragment.bytes() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.depth += 1;
                    self.begun = true;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.begun && self.depth == 0 && !self.in_string
    }

    /// Whether more must come.
    pub(crate) fn is_midway(&self) -> bool {
        self.begun && !self.is_whole()
    }
}
