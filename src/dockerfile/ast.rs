//! The syntax tree of a Dockerfile: what was written, with the place of every word.
//!
//! Nothing here is expanded: a [`Word`] still has its quotes, escapes and `$variables`, which
//! [`words`](crate::words) takes away when the instruction is carried out. What the grammar decides by itself
//! (which form, which flag, which number) is typed; what may hold a variable is text until then.
//!
//! ```text
//! Ast
//! ├── directives          # syntax=, # escape=, # check=
//! └── instructions
//!     └── Instruction     keyword, span, lines, original text, comments above, here-documents
//!         └── InstructionKind
//!             ├── From(FromInstruction) …      one struct per instruction
//!             ├── Onbuild(OnbuildInstruction)  holds an Instruction again
//!             └── Invalid                      a diagnostic says why
//! ```

use std::time::Duration;

use crate::directive::Directive;
use crate::source::{LineRange, Span, Spanned};

mod mount;
mod print;

pub use mount::{
    BindMount, CacheMount, CacheSharing, Mount, MountError, MountField, MountFlag, SecretMount,
    SshMount, TmpfsMount,
};

/// A word as written: quotes, escapes and variables still in it.
pub type Word = Spanned<String>;

/// A whole Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ast {
    /// The parser directives at the top, in order.
    pub directives: Vec<Directive>,
    /// The frontend that the file asks for, in whatever form.
    pub syntax: Option<Word>,
    /// The character that escapes and continues lines.
    pub escape: Escape,
    /// All instructions in order, those with errors included.
    pub instructions: Vec<Instruction>,
}

/// The character set by `# escape=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Escape {
    /// `\`, the default.
    #[default]
    Backslash,
    /// A back quote, for Windows paths.
    Backtick,
}

impl Escape {
    /// Returns the character itself.
    pub const fn as_char(self) -> char {
        match self {
            Self::Backslash => '\\',
            Self::Backtick => '`',
        }
    }
}

/// One instruction of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// The keyword in the case it was written in.
    pub keyword: Spanned<String>,
    /// From the keyword to the end of the last line, here-documents included.
    pub span: Span,
    /// The lines of the span.
    pub lines: LineRange,
    /// The logical line: continuations joined, comments within it dropped, here-documents not included.
    pub original: String,
    /// The comments directly above (`# text` without the `#` and the blanks round the text).
    pub comments: Vec<Spanned<String>>,
    /// The flags in order, as written; their meaning is in `kind`.
    pub flags: Vec<Flag>,
    /// The here-documents that follow the line, in order.
    pub heredocs: Vec<Heredoc>,
    /// What the instruction says.
    pub kind: InstructionKind,
}

impl Instruction {
    /// Returns the keyword in upper case, as messages and the image history name it.
    pub fn name(&self) -> String {
        self.keyword.value.to_ascii_uppercase()
    }
}

/// A flag as written: a word that starts with `--` between the keyword and the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The name without `--`.
    pub name: Spanned<String>,
    /// What follows `=`, if there is one; quotes and escapes are already gone, variables are not.
    pub value: Option<Word>,
    /// The whole flag.
    pub span: Span,
}

/// A here-document: `<<NAME`, its body and the terminator line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The name without quotes. The span is that of the whole word (`<<-"NAME"`).
    pub name: Spanned<String>,
    /// The lines up to the terminator, exactly as written.
    pub content: String,
    /// Where the body stands, without the terminator line.
    pub body: Span,
    /// Whether variables in the body are expanded: the name was not quoted.
    pub expand: bool,
    /// Whether leading tabs are taken off (`<<-`). `content` still has them: see [`Heredoc::text`].
    pub chomp: bool,
    /// The file descriptor before `<<`, 0 when none is written.
    pub file_descriptor: u32,
}

impl Heredoc {
    /// Returns the body as its reader sees it: without leading tabs when `<<-` asks for that.
    pub fn text(&self) -> String {
        if self.chomp {
            crate::heredoc::without_leading_tabs(&self.content)
        } else {
            self.content.clone()
        }
    }
}

/// What an instruction says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstructionKind {
    /// `FROM image [AS name]`
    From(FromInstruction),
    /// `ARG name[=default] …`
    Arg(ArgInstruction),
    /// `ENV key=value …`
    Env(EnvInstruction),
    /// `LABEL key=value …`
    Label(LabelInstruction),
    /// `RUN command`
    Run(RunInstruction),
    /// `CMD command`
    Cmd(CommandForm),
    /// `ENTRYPOINT command`
    Entrypoint(CommandForm),
    /// `SHELL ["program", "argument", …]`
    Shell(ShellInstruction),
    /// `COPY source … destination`
    Copy(CopyInstruction),
    /// `ADD source … destination`
    Add(AddInstruction),
    /// `WORKDIR path`: the rest of the line is the path.
    Workdir(Word),
    /// `USER user[:group]`
    User(Word),
    /// `EXPOSE port[/protocol] …`
    Expose(ExposeInstruction),
    /// `VOLUME path …`
    Volume(VolumeInstruction),
    /// `STOPSIGNAL signal`
    StopSignal(Word),
    /// `HEALTHCHECK NONE` or `HEALTHCHECK [options] CMD command`
    Healthcheck(HealthcheckInstruction),
    /// `ONBUILD instruction`
    Onbuild(OnbuildInstruction),
    /// `MAINTAINER name`, deprecated.
    Maintainer(Word),
    /// An instruction that could not be understood. There is a diagnostic of severity error for it.
    Invalid,
}

/// `FROM [--platform=…] image [AS name]`: begins a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromInstruction {
    /// The value of `--platform=`. Global `ARG`s are expanded in it.
    pub platform: Option<Word>,
    /// The image, stage or `scratch`. Global `ARG`s are expanded in it.
    pub image: Word,
    /// The name given to the stage.
    pub alias: Option<StageAlias>,
}

/// `AS name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageAlias {
    /// The word `AS` as written.
    pub keyword: Word,
    /// The name as written; stages are found by its lower-case form.
    pub name: Word,
}

impl StageAlias {
    /// Returns the name by which the stage is found.
    pub fn lower_name(&self) -> String {
        self.name.value.to_lowercase()
    }
}

/// `ARG name[=default] …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgInstruction {
    /// The declared arguments, at least one.
    pub declarations: Vec<ArgDeclaration>,
}

/// One argument of an `ARG` instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgDeclaration {
    /// The name; it is expanded like the default.
    pub name: Word,
    /// What follows `=`, if there is one (it may be empty).
    pub default: Option<Word>,
}

/// How the pairs of `ENV` and `LABEL` were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairForm {
    /// `key=value key=value`
    Equals,
    /// `key value`, the old form with one pair whose value is the rest of the line.
    Legacy,
}

/// One key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The key; it is expanded like the value.
    pub key: Word,
    /// The value.
    pub value: Word,
}

/// `ENV key=value …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvInstruction {
    /// The pairs in order, at least one.
    pub pairs: Vec<Pair>,
    /// How they were written.
    pub form: PairForm,
}

/// `LABEL key=value …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelInstruction {
    /// The pairs in order, at least one.
    pub pairs: Vec<Pair>,
    /// How they were written.
    pub form: PairForm,
}

/// A command line in one of its two forms. It is never expanded by the builder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandForm {
    /// Text for the shell in force: `RUN echo hi`. The span covers all of it.
    Shell(Word),
    /// The words of a JSON array, unescaped: `RUN ["echo", "hi"]`. It may be empty.
    Exec(Vec<Word>),
}

/// `RUN [flags] command`
///
/// Its here-documents are [`Instruction::heredocs`]; the `<<NAME` words stay in the command's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunInstruction {
    /// `--mount=`, in order.
    pub mounts: Vec<MountFlag>,
    /// `--network=`
    pub network: Option<Spanned<NetworkMode>>,
    /// `--security=`
    pub security: Option<Spanned<SecurityMode>>,
    /// `--device=`, in order.
    pub devices: Vec<DeviceFlag>,
    /// What is run.
    pub command: CommandForm,
}

/// The value of `RUN --network=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkMode {
    /// `default`
    Default,
    /// `none`: a loopback interface alone.
    None,
    /// `host`
    Host,
}

/// The value of `RUN --security=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityMode {
    /// `sandbox`, the default.
    Sandbox,
    /// `insecure`
    Insecure,
}

/// The value of one `RUN --device=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFlag {
    /// The device's name in CDI form (`vendor.com/class=name`). Variables are expanded in it.
    pub name: Word,
    /// Whether the build fails without the device.
    pub required: bool,
}

/// What `COPY` and `ADD` have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySpec {
    /// The sources that are paths (or URLs, for `ADD`), in order.
    pub sources: Vec<Word>,
    /// The sources that are here-documents, in order.
    pub inline_files: Vec<InlineFile>,
    /// Where they go.
    pub destination: Word,
    /// `--chown=`
    pub chown: Option<Word>,
    /// `--chmod=`, octal or symbolic. Variables are expanded in it before it is read.
    pub chmod: Option<Word>,
    /// `--link[=bool]`
    pub link: bool,
    /// `--exclude=` patterns, in order.
    pub exclude: Vec<Word>,
}

/// A file whose content stands in the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineFile {
    /// The file's name: that of the here-document.
    pub name: Word,
    /// The content, leading tabs already taken off if `<<-` asks for that.
    pub content: String,
    /// Whether variables are expanded in the content (quotes are kept as they are).
    pub expand: bool,
}

/// `COPY [flags] source … destination`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyInstruction {
    /// Sources, destination and the flags shared with `ADD`.
    pub spec: CopySpec,
    /// `--from=`: a stage, its number, a named context or an image. It is not expanded.
    pub from: Option<Word>,
    /// `--parents[=bool]`
    pub parents: bool,
}

/// `ADD [flags] source … destination`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddInstruction {
    /// Sources, destination and the flags shared with `COPY`.
    pub spec: CopySpec,
    /// `--checksum=`. Variables are expanded in it before it is read.
    pub checksum: Option<Word>,
    /// `--keep-git-dir[=bool]`, if given.
    pub keep_git_dir: Option<Spanned<bool>>,
    /// `--unpack[=bool]`, if given; otherwise local archives are unpacked and remote ones are not.
    pub unpack: Option<Spanned<bool>>,
}

/// `SHELL ["program", "argument", …]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellInstruction {
    /// The program and its arguments, at least one word.
    pub words: Vec<Word>,
}

/// `EXPOSE port[/protocol] …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExposeInstruction {
    /// The words in the order written; each may expand into several. See [`ports`](crate::ports).
    ///
    /// BuildKit sorts the words, as they are written, before it expands them.
    pub ports: Vec<Word>,
}

/// `VOLUME path …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeInstruction {
    /// The words; each may expand into several.
    pub paths: Vec<Word>,
}

/// `HEALTHCHECK …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthcheckInstruction {
    /// `HEALTHCHECK NONE`: disables the base image's check.
    Disabled,
    /// `HEALTHCHECK [options] CMD command`
    Check(HealthcheckOptions),
}

/// The options and the command of a health check. An absent option (or a zero) inherits the base's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthcheckOptions {
    /// `--interval=`
    pub interval: Option<Spanned<Duration>>,
    /// `--timeout=`
    pub timeout: Option<Spanned<Duration>>,
    /// `--start-period=`
    pub start_period: Option<Spanned<Duration>>,
    /// `--start-interval=`
    pub start_interval: Option<Spanned<Duration>>,
    /// `--retries=`
    pub retries: Option<Spanned<u32>>,
    /// What is run: exec form becomes `["CMD", …]`, shell form `["CMD-SHELL", text]`.
    pub command: CommandForm,
}

/// `ONBUILD instruction`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnbuildInstruction {
    /// What is stored in the image: the text behind `ONBUILD`, here-documents included.
    pub expression: String,
    /// The instruction as it reads here. Its faults are only warnings: it runs in another build.
    pub trigger: Box<Instruction>,
}
