//! What a note is compiled to: operations of a stack machine, flat, with lexical addresses.

use std::collections::HashMap;
use std::sync::Arc;

use super::core::Val;
use super::names::Sym;
use super::syntax::Span;

/// What becomes of a call's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The first of its values is used.
    Single,
    /// All its values are used.
    Multi,
    /// It is the function's value; a `Return` follows.
    Tail,
}

/// One operation. A slot is a local variable's place in its frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    Nop,
    Nil,
    T,
    Int(i32),
    Const(u32),
    /// A function without captures, by its code.
    PushFun(u32),
    PushBuiltin(u32),
    /// The present definition of a note's function.
    FunGet(u32),
    Get(u32),
    Set(u32),
    /// Takes the top into a slot.
    Bind(u32),
    GetBox(u32),
    SetBox(u32),
    BindBox(u32),
    CapGet(u32),
    CapSet(u32),
    GlobalGet(u32),
    GlobalSet(u32),
    /// Takes the top as a global's value if it has none; pushes its name.
    GlobalInit(u32),
    BindDyn(u32),
    Unbind(u32),
    Pop,
    Jump(u32),
    /// Takes the top; jumps if it is nil.
    JumpNil(u32),
    /// Jumps if the top is nil and keeps it then, else takes it.
    JumpNilKeep(u32),
    JumpTrueKeep(u32),
    /// Pushes whether the argument in a slot was given.
    Given(u32),
    CallFun {
        target: u32,
        args: u16,
        mode: Mode,
    },
    CallCode {
        target: u32,
        args: u16,
        mode: Mode,
    },
    CallBuiltin {
        target: u32,
        args: u16,
        mode: Mode,
    },
    /// The function lies below its arguments.
    Funcall {
        args: u16,
        mode: Mode,
    },
    /// The same; the last argument is a list of further ones.
    Apply {
        args: u16,
        mode: Mode,
    },
    Return,
    Closure(u32),
    /// Pushes a token; the block is left to the label.
    BlockEnter(u32),
    BlockExit,
    /// Takes the first of several values.
    Primary,
    /// Takes a token and a value; leaves that block with the value.
    Exit,
    HandlerEnter(u32),
    HandlerExit,
    MvBind(u32),
    MvList,
    /// Takes a function, gives it a name, pushes the name.
    DefFun(u32),
}

/// Where a closure finds what it captures when it is made.
#[derive(Clone, Copy, Debug)]
pub enum Capture {
    Slot(u32),
    Outer(u32),
}

/// One function.
#[derive(Debug, Default)]
pub struct Code {
    pub name: Sym,
    pub ops: Vec<Op>,
    /// For each operation, its place: an index into the unit's spans.
    pub spans: Vec<u32>,
    pub required: u32,
    pub optional: u32,
    pub keys: Vec<Sym>,
    pub has_keys: bool,
    pub rest: bool,
    pub allow_other: bool,
    /// How many local variables there are: required, optional, keys, rest, then all others.
    pub slots: u32,
    /// Which required arguments are shared with closures.
    pub boxed: Vec<u32>,
    pub captures: Vec<Capture>,
}

/// A source's name, first line and text, for errors.
#[derive(Debug)]
pub struct File {
    pub name: Arc<str>,
    pub text: Arc<str>,
}

/// What was compiled together.
#[derive(Debug, Default)]
pub struct Unit {
    /// The number of its first code.
    pub start: u32,
    pub codes: Vec<Code>,
    pub consts: Vec<Val>,
    pub spans: Vec<Span>,
    pub files: Vec<File>,
    pub functions: HashMap<Sym, u32>,
    pub globals: HashMap<Sym, u32>,
    pub function_names: Vec<Sym>,
    pub global_names: Vec<Sym>,
}
