//! Conditional expressions: bytes to text.
//!
//! The application data of a callback ACE are `artx`, then tokens in postfix order, then zero bytes up to a multiple
//! of 4.
//!
//! | code | token | what follows the code |
//! | --- | --- | --- |
//! | 0x01–0x04 | integer of 8, 16, 32, 64 bits | value (8, two's complement), sign (1), base (1) |
//! | 0x10 | string | length in bytes (4), UTF-16LE |
//! | 0x18 | octet string | length (4), bytes |
//! | 0x50 | composite | length in bytes (4), literals |
//! | 0x51 | SID | length (4), SID |
//! | 0x80–0x88, 0x8E, 0x8F | relational operator, two operands | |
//! | 0x87, 0x8D | Exists, Not_Exists | |
//! | 0x89–0x8C, 0x90–0x93 | membership operator, one operand | |
//! | 0xA0, 0xA1, 0xA2 | `&&`, `\|\|`, `!` | |
//! | 0xF8–0xFB | attribute: local, user, resource, device | length in bytes (4), UTF-16LE |
//!
//! Source: \[MS-DTYP\] 2.4.4.17.4 to 2.4.4.17.8. Text: 2.5.1.1. What the grammar of the text has no form for gives no
//! text: the integers below 64 bits (text always means 0x04), strings with a quotation mark or control characters.

use super::super::sid::Sid;
use crate::bytes;

/// What a conditional expression starts with: ACE_CONDITION_SIGNATURE.
pub(super) const SIGNATURE: [u8; 4] = *b"artx";

pub(super) const INT64: u8 = 0x04;
pub(super) const STRING: u8 = 0x10;
pub(super) const OCTETS: u8 = 0x18;
pub(super) const COMPOSITE: u8 = 0x50;
pub(super) const SID: u8 = 0x51;
pub(super) const AND: u8 = 0xA0;
pub(super) const OR: u8 = 0xA1;
pub(super) const NOT: u8 = 0xA2;
pub(super) const LOCAL: u8 = 0xF8;

/// Relational operators that are signs. Those that start with another come first.
pub(super) const SIGNS: [(&str, u8); 6] =
    [("==", 0x80), ("!=", 0x81), ("<=", 0x83), (">=", 0x85), ("<", 0x82), (">", 0x84)];
/// Relational operators that are words.
pub(super) const WORDS: [(&str, u8); 4] =
    [("Contains", 0x86), ("Any_of", 0x88), ("Not_Contains", 0x8E), ("Not_Any_of", 0x8F)];
/// Operators in front of an attribute.
pub(super) const EXISTS: [(&str, u8); 2] = [("Exists", 0x87), ("Not_Exists", 0x8D)];
/// Operators in front of SIDs.
pub(super) const MEMBER: [(&str, u8); 8] = [
    ("Member_of", 0x89),
    ("Device_Member_of", 0x8A),
    ("Member_of_Any", 0x8B),
    ("Device_Member_of_Any", 0x8C),
    ("Not_Member_of", 0x90),
    ("Not_Device_Member_of", 0x91),
    ("Not_Member_of_Any", 0x92),
    ("Not_Device_Member_of_Any", 0x93),
];
/// What stands in front of the name of an attribute.
pub(super) const PREFIXES: [(&str, u8); 3] = [("@User.", 0xF9), ("@Resource.", 0xFA), ("@Device.", 0xFB)];

/// Sign and base of an integer (\[MS-DTYP\] 2.4.4.17.5).
pub(super) const PLUS: u8 = 1;
pub(super) const MINUS: u8 = 2;
pub(super) const NO_SIGN: u8 = 3;
pub(super) const OCTAL: u8 = 1;
pub(super) const DECIMAL: u8 = 2;
pub(super) const HEXADECIMAL: u8 = 3;

/// What stands on the stack of the postfix form.
enum Item {
    Attribute(String),
    Value(String),
    /// An index into the nodes.
    Node(usize),
}

/// An expression; the numbers are indices of other nodes, lower ones always.
enum Node {
    Term(String),
    Not(usize),
    And(usize, usize),
    Or(usize, usize),
}

/// The text of application data, without the parentheses around it. `None` when they are no conditional expression,
/// or one that text has no form for.
pub(super) fn to_text(data: &[u8]) -> Option<String> {
    let mut rest = data.strip_prefix(&SIGNATURE)?;
    let mut nodes: Vec<Node> = Vec::new();
    let mut stack = Vec::new();
    while let Some((&code, after)) = rest.split_first() {
        if code == 0 {
            // Padding; the comparison with what the text gives tells whether its length is the usual one.
            rest.iter().all(|byte| *byte == 0).then_some(())?;
            break;
        }
        rest = after;
        match code {
            AND | OR => {
                let (right, left) = (pop_node(&mut stack, &mut nodes)?, pop_node(&mut stack, &mut nodes)?);
                let node = if code == AND { Node::And(left, right) } else { Node::Or(left, right) };
                push_node(&mut stack, &mut nodes, node);
            }
            NOT => {
                let operand = pop_node(&mut stack, &mut nodes)?;
                push_node(&mut stack, &mut nodes, Node::Not(operand));
            }
            _ => {
                if let Some(name) = name_of(&EXISTS, code) {
                    let Item::Attribute(attribute) = stack.pop()? else { return None };
                    push_node(&mut stack, &mut nodes, Node::Term(format!("{name} {attribute}")));
                } else if let Some(name) = name_of(&MEMBER, code) {
                    let Item::Value(sids) = stack.pop()? else { return None };
                    push_node(&mut stack, &mut nodes, Node::Term(format!("{name} {sids}")));
                } else if let Some(name) = name_of(&SIGNS, code).or_else(|| name_of(&WORDS, code)) {
                    let (Item::Attribute(right) | Item::Value(right)) = stack.pop()? else { return None };
                    let Item::Attribute(left) = stack.pop()? else { return None };
                    push_node(&mut stack, &mut nodes, Node::Term(format!("{left} {name} {right}")));
                } else {
                    let (item, after) = operand(code, rest)?;
                    stack.push(item);
                    rest = after;
                }
            }
        }
    }
    let root = pop_node(&mut stack, &mut nodes)?;
    stack.is_empty().then(|| write(&nodes, root))
}

fn name_of(table: &[(&'static str, u8)], code: u8) -> Option<&'static str> {
    table.iter().find(|(_, known)| *known == code).map(|(name, _)| *name)
}

/// Takes an operand of a logical operator. A literal is none.
fn pop_node(stack: &mut Vec<Item>, nodes: &mut Vec<Node>) -> Option<usize> {
    match stack.pop()? {
        Item::Node(index) => Some(index),
        Item::Value(_) => None,
        Item::Attribute(name) => {
            nodes.push(Node::Term(name));
            Some(nodes.len() - 1)
        }
    }
}

fn push_node(stack: &mut Vec<Item>, nodes: &mut Vec<Node>, node: Node) {
    stack.push(Item::Node(nodes.len()));
    nodes.push(node);
}

/// The literal or attribute with this code, and the bytes behind it.
fn operand(code: u8, rest: &[u8]) -> Option<(Item, &[u8])> {
    let prefix = if code == LOCAL { Some("") } else { name_of(&PREFIXES, code) };
    match prefix {
        Some(prefix) => {
            let (name, rest) = sized(rest)?;
            let mut text = prefix.to_owned();
            push_name(&mut text, utf16(name)?, |c| is_name(c, !prefix.is_empty()));
            (!name.is_empty()).then_some((Item::Attribute(text), rest))
        }
        None if code == COMPOSITE => {
            let (mut elements, rest) = sized(rest)?;
            let mut text = String::from("{");
            while let Some((&code, after)) = elements.split_first() {
                if text.len() > 1 {
                    text.push_str(", ");
                }
                elements = push_literal(&mut text, code, after)?;
            }
            text.push('}');
            Some((Item::Value(text), rest))
        }
        None => {
            let mut text = String::new();
            let rest = push_literal(&mut text, code, rest)?;
            Some((Item::Value(text), rest))
        }
    }
}

/// Appends a literal that is not a composite; the bytes behind it come back.
fn push_literal<'a>(out: &mut String, code: u8, rest: &'a [u8]) -> Option<&'a [u8]> {
    if code == INT64 {
        let (token, rest) = rest.split_first_chunk::<10>()?;
        let [value @ .., sign, base] = *token;
        push_integer(out, i64::from_le_bytes(value), sign, base)?;
        return Some(rest);
    }
    let (content, rest) = sized(rest)?;
    match code {
        STRING => push_string(out, utf16(content)?)?,
        OCTETS => {
            out.push('#');
            super::scanner::push_hex(out, content);
        }
        SID => {
            out.push_str("SID(");
            super::print::push_sid(out, Sid::parse(content).ok()?);
            out.push(')');
        }
        _ => return None,
    }
    Some(rest)
}

/// Appends an integer as its sign and base say. The sign must be that of the value, or the text would mean another.
fn push_integer(out: &mut String, value: i64, sign: u8, base: u8) -> Option<()> {
    match (sign, value) {
        (PLUS, 0..) => out.push('+'),
        (MINUS, ..=0) => out.push('-'),
        (NO_SIGN, 0..) => {}
        _ => return None,
    }
    let value = value.unsigned_abs();
    out.push_str(&match base {
        OCTAL => format!("0{value:o}"),
        DECIMAL => value.to_string(),
        HEXADECIMAL => format!("{value:#x}"),
        _ => return None,
    });
    Some(())
}

/// Appends a string in quotation marks, which has no escapes.
pub(super) fn push_string(out: &mut String, units: impl Iterator<Item = u16>) -> Option<()> {
    out.push('"');
    for c in char::decode_utf16(units) {
        let c = c.ok().filter(|c| *c != '"' && !c.is_control())?;
        out.push(c);
    }
    out.push('"');
    Some(())
}

/// Appends a name; units that `is` does not accept become `%XXXX`.
pub(super) fn push_name(out: &mut String, units: impl Iterator<Item = u16>, is: impl Fn(char) -> bool) {
    for c in char::decode_utf16(units) {
        match c {
            Ok(c) if is(c) => out.push(c),
            Ok(c) => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("%{unit:04x}")))
            }
            Err(unpaired) => out.push_str(&format!("%{:04x}", unpaired.unpaired_surrogate())),
        }
    }
}

/// Whether a name may hold the character as it is: `attr-char2` behind a prefix, else `attr-char1`.
pub(super) fn is_name(c: char, prefixed: bool) -> bool {
    match c {
        'A'..='Z' | 'a'..='z' | '0'..='9' | ':' | '.' | '/' | '_' => true,
        '#' | '$' | '\'' | '*' | '+' | '-' | ';' | '?' | '@' | '[' | '\\' | ']' | '^' | '`' | '{' | '}'
        | '~' => prefixed,
        '\u{80}'.. => prefixed && !c.is_control() && !c.is_whitespace(),
        _ => false,
    }
}

/// The bytes of a token that starts with its length, and those behind.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)
}

/// The units of a string; `None` when its bytes are odd in number.
fn utf16(content: &[u8]) -> Option<impl Iterator<Item = u16> + '_> {
    content.len().is_multiple_of(2).then(|| bytes::utf16_units(content))
}

/// What is still to be written of an expression.
enum Work {
    Text(&'static str),
    Node(usize),
}

/// Writes an expression with as few parentheses as give it back. Not recursive, since the depth is up to the input.
fn write(nodes: &[Node], root: usize) -> String {
    let is_or = |index: usize| matches!(nodes.get(index), Some(Node::Or(..)));
    let is_and = |index: usize| matches!(nodes.get(index), Some(Node::And(..)));
    let mut out = String::new();
    let mut work = vec![Work::Node(root)];
    while let Some(item) = work.pop() {
        let index = match item {
            Work::Node(index) => index,
            Work::Text(text) => {
                out.push_str(text);
                continue;
            }
        };
        // What comes last in the text is pushed first.
        match nodes.get(index) {
            None => {}
            Some(Node::Term(text)) => out.push_str(text),
            Some(&Node::Not(inner)) => {
                out.push('!');
                push_operand(&mut work, inner, true);
            }
            Some(&Node::And(left, right)) => {
                push_operand(&mut work, right, is_or(right) || is_and(right));
                work.push(Work::Text(" && "));
                push_operand(&mut work, left, is_or(left));
            }
            Some(&Node::Or(left, right)) => {
                push_operand(&mut work, right, is_or(right));
                work.push(Work::Text(" || "));
                push_operand(&mut work, left, false);
            }
        }
    }
    out
}

fn push_operand(work: &mut Vec<Work>, index: usize, parentheses: bool) {
    if parentheses {
        work.extend([Work::Text(")"), Work::Node(index), Work::Text("(")]);
    } else {
        work.push(Work::Node(index));
    }
}
