//! What a lexer has read so far.

/// A word of a line, before anything in it is expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawWord {
    /// The text.
    pub(crate) text: String,
    /// Where it starts in the line, in bytes.
    pub(crate) start: usize,
    /// Where it ends.
    pub(crate) end: usize,
}

/// The text read so far, whole and split into words.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) text: String,
    words: Words,
}

impl Output {
    /// Adds text whose blanks belong to the word, at the offset where it was read.
    pub(super) fn push_quoted(&mut self, text: &str, offset: usize) {
        self.text.push_str(text);
        self.words.push_quoted(text, offset);
    }

    /// Adds text whose blanks separate words.
    pub(super) fn push(&mut self, text: &str, offset: usize) {
        self.text.push_str(text);
        for character in text.chars() {
            self.words.push(character, offset);
        }
    }

    /// Notes how far the text was read, which is where the current word ends so far.
    pub(super) fn read_to(&mut self, offset: usize) {
        self.words.end = offset;
    }

    /// Returns the words.
    pub(super) fn into_words(self) -> Vec<RawWord> {
        self.words.finish()
    }

    /// Returns the whole text and the words.
    pub(super) fn into_parts(self) -> (String, Vec<RawWord>) {
        (self.text, self.words.finish())
    }
}

#[derive(Debug, Default)]
struct Words {
    done: Vec<RawWord>,
    current: String,
    start: usize,
    end: usize,
}

impl Words {
    fn push_quoted(&mut self, text: &str, offset: usize) {
        if self.current.is_empty() {
            self.start = offset;
        }
        self.current.push_str(text);
    }

    fn push(&mut self, character: char, offset: usize) {
        if character.is_whitespace() {
            self.close();
        } else {
            self.push_quoted(character.encode_utf8(&mut [0; 4]), offset);
        }
    }

    /// Ends the current word. An empty one is none: `""` alone is no word.
    fn close(&mut self) {
        if !self.current.is_empty() {
            let text = std::mem::take(&mut self.current);
            let (start, end) = (self.start, self.end);
            self.done.push(RawWord { text, start, end });
        }
    }

    fn finish(mut self) -> Vec<RawWord> {
        self.close();
        self.done
    }
}
