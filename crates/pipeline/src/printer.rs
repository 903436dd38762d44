//! Prints a syntax tree as source text that parses back to the same tree.

use crate::ast::{
    Argument, Expr, ExprKind, Index, Name, PathPart, Script, Statement, StatementKind,
};

/// The source text of a script.
#[must_use]
pub fn script(script: &Script) -> String {
    crate::stack::levels(script.levels, || {
        let mut out = String::new();
        for statement in &script.statements {
            push_statement(&mut out, statement, 0);
            out.push('\n');
        }
        out
    })
}

/// The source text of an expression.
pub(crate) fn expr(expr: &Expr) -> String {
    let mut out = String::new();
    push_expr(&mut out, expr);
    out
}

fn indent(out: &mut String, level: usize) {
    for _ in 0..level {
        out.push_str("  ");
    }
}

fn push_block(out: &mut String, statements: &[Statement], level: usize) {
    out.push_str("{\n");
    for statement in statements {
        push_statement(out, statement, level + 1);
        out.push('\n');
    }
    indent(out, level);
    out.push('}');
}

fn push_statement(out: &mut String, statement: &Statement, level: usize) {
    indent(out, level);
    push_bare(out, statement, level);
}

fn push_bare(out: &mut String, statement: &Statement, level: usize) {
    match &statement.kind {
        StatementKind::Expression(expr) => push_expr(out, expr),
        StatementKind::Assign(assign) => {
            push_list(out, &assign.targets);
            out.push(' ');
            if let Some(op) = assign.operator {
                out.push_str(op.symbol());
            }
            out.push_str("= ");
            push_list(out, &assign.values);
        }
        StatementKind::If {
            branches,
            otherwise,
        } => {
            for (at, (condition, block)) in branches.iter().enumerate() {
                out.push_str(if at == 0 { "if " } else { " elif " });
                push_expr(out, condition);
                out.push(' ');
                push_block(out, block, level);
            }
            if let Some(block) = otherwise {
                out.push_str(" else ");
                push_block(out, block, level);
            }
        }
        StatementKind::ForIn {
            target,
            source,
            body,
        } => {
            out.push_str("for ");
            push_expr(out, target);
            out.push_str(" in ");
            push_expr(out, source);
            out.push(' ');
            push_block(out, body, level);
        }
        StatementKind::For {
            init,
            condition,
            step,
            body,
        } => {
            out.push_str("for ");
            if let Some(init) = init {
                push_bare(out, init, level);
            }
            out.push_str("; ");
            if let Some(condition) = condition {
                push_expr(out, condition);
            }
            out.push_str("; ");
            if let Some(step) = step {
                push_bare(out, step, level);
                out.push(' ');
            }
            push_block(out, body, level);
        }
        StatementKind::Break => out.push_str("break"),
        StatementKind::Continue => out.push_str("continue"),
    }
}

fn push_list(out: &mut String, items: &[Expr]) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        push_expr(out, item);
    }
}

fn push_name(out: &mut String, name: &str) {
    if crate::lexer::is_plain_name(name) {
        out.push_str(name);
    } else {
        out.push('`');
        out.push_str(name);
        out.push('`');
    }
}

fn push_indexes(out: &mut String, indexes: &[Index]) {
    for index in indexes {
        out.push('[');
        push_expr(out, &index.expr);
        out.push(']');
    }
}

fn push_path(out: &mut String, parts: &[PathPart]) {
    for (at, part) in parts.iter().enumerate() {
        // The leading `.` of `.[0]` is a part without a name.
        if at > 0 || part.name.is_none() {
            out.push('.');
        }
        if let Some(Name { text, .. }) = &part.name {
            push_name(out, text);
        }
        push_indexes(out, &part.indexes);
    }
}

fn push_argument(out: &mut String, argument: &Argument) {
    if let Some(name) = &argument.name {
        push_name(out, &name.text);
        out.push('=');
    }
    push_expr(out, &argument.value);
}

fn push_expr(out: &mut String, expr: &Expr) {
    match &expr.kind {
        ExprKind::Nil => out.push_str("nil"),
        ExprKind::Bool(true) => out.push_str("true"),
        ExprKind::Bool(false) => out.push_str("false"),
        ExprKind::Int(number) => out.push_str(&number.to_string()),
        ExprKind::Float(number) => push_float(out, *number),
        ExprKind::Str(text) => push_string(out, text),
        ExprKind::Name(name) => push_name(out, name),
        ExprKind::Path(parts) => push_path(out, parts),
        ExprKind::Index { base, indexes } => {
            push_name(out, &base.text);
            push_indexes(out, indexes);
        }
        ExprKind::List(items) => {
            out.push('[');
            push_list(out, items);
            out.push(']');
        }
        ExprKind::Map(pairs) => {
            out.push('{');
            for (at, (key, value)) in pairs.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                push_expr(out, key);
                out.push_str(": ");
                push_expr(out, value);
            }
            out.push('}');
        }
        ExprKind::Paren(inner) => {
            out.push('(');
            push_expr(out, inner);
            out.push(')');
        }
        ExprKind::Call(call) => {
            push_name(out, &call.name.text);
            out.push('(');
            for (at, argument) in call.arguments.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                push_argument(out, argument);
            }
            out.push(')');
        }
        ExprKind::Slice(slice) => {
            push_expr(out, &slice.object);
            out.push('[');
            if let Some(start) = &slice.start {
                push_expr(out, start);
            }
            out.push(':');
            if let Some(end) = &slice.end {
                push_expr(out, end);
            }
            if let Some(step) = &slice.step {
                out.push(':');
                push_expr(out, step);
            }
            out.push(']');
        }
        ExprKind::Unary(op, inner) => {
            out.push_str(op.symbol());
            push_expr(out, inner);
        }
        ExprKind::Chain(chain) => {
            push_expr(out, &chain.first);
            for (op, _, right) in &chain.rest {
                out.push(' ');
                out.push_str(op.symbol());
                out.push(' ');
                push_expr(out, right);
            }
        }
    }
}

fn push_float(out: &mut String, number: f64) {
    if number.is_nan() {
        out.push_str("nan");
    } else if number.is_infinite() {
        out.push_str(if number > 0.0 { "inf" } else { "-inf" });
    } else {
        let text = format!("{number}");
        out.push_str(&text);
        if !text.contains('.') {
            out.push_str(".0");
        }
    }
}

fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
