//! Aggregations, calls, and the words between an operator and its right side.

use super::{Failed, Parsed, Parser};
use crate::lang::{Diagnostic, Span, nearest};
use crate::promql::ast::{
    Aggregate, AggregateOp, Call, Cardinality, Expr, Grouping, NumberLiteral, VectorMatching,
};
use crate::promql::functions::{function, functions};
use crate::promql::literal::{quote, quote_bytes, unquote_bytes};
use crate::promql::token::{Kind, Mode, token};

impl Parser<'_> {
    pub(super) fn binary_modifiers(&mut self) -> Result<(bool, VectorMatching), Failed> {
        let returns_bool = self.eat_keyword("bool").is_some();
        let mut matching = VectorMatching::default();
        let on = self.eat_keyword("on").is_some();
        if on || self.eat_keyword("ignoring").is_some() {
            matching.on = on;
            matching.labels = self.grouping_labels()?;
            for (keyword, cardinality) in
                [("group_left", Cardinality::ManyToOne), ("group_right", Cardinality::OneToMany)]
            {
                if self.eat_keyword(keyword).is_some() {
                    matching.cardinality = cardinality;
                    if self.peek(Mode::Plain).is("(") {
                        matching.include = self.grouping_labels()?;
                    }
                    break;
                }
            }
        }
        self.fill_modifiers(&mut matching)?;
        Ok((returns_bool, matching))
    }

    pub(super) fn fill_modifiers(&mut self, matching: &mut VectorMatching) -> Result<(), Failed> {
        // Without a parenthesis, `fill` is a metric.
        while self.second_is("(") {
            let fill = &matching.fill;
            let sides = if fill.left.is_none()
                && fill.right.is_none()
                && self.eat_keyword("fill").is_some()
            {
                (true, true)
            } else if matching.fill.left.is_none() && self.eat_keyword("fill_left").is_some() {
                (true, false)
            } else if matching.fill.right.is_none() && self.eat_keyword("fill_right").is_some() {
                (false, true)
            } else {
                break;
            };
            let value = self.fill_value()?;
            if sides.0 {
                matching.fill.left = Some(value);
            }
            if sides.1 {
                matching.fill.right = Some(value);
            }
        }
        Ok(())
    }

    pub(super) fn fill_value(&mut self) -> Result<f64, Failed> {
        self.expect(Mode::Plain, "(", "fill")?;
        let minus = self.eat(Mode::Plain, "-").is_some();
        if !minus {
            self.eat(Mode::Plain, "+");
        }
        let token = self.peek(Mode::Plain).clone();
        let word = self.word_of(&token).to_ascii_lowercase();
        let special = matches!(word.as_str(), "inf" | "nan");
        if !matches!(token.kind, Kind::Number | Kind::Duration) && !special {
            return Err(self.unexpected(Mode::Plain, "fill", "number"));
        }
        self.take(Mode::Plain);
        let value = self.number_literal(&token).value;
        self.expect(Mode::Plain, ")", "fill")?;
        Ok(if minus { -value } else { value })
    }

    pub(super) fn grouping_labels(&mut self) -> Result<Vec<String>, Failed> {
        let place = "grouping opts";
        self.expect(Mode::Plain, "(", place)?;
        let mut labels = Vec::new();
        while self.eat(Mode::Plain, ")").is_none() {
            let token = self.peek(Mode::Plain).clone();
            labels.push(match token.kind {
                Kind::Word => self.word_of(&token).to_owned(),
                Kind::Quoted => self.unquoted(&token),
                _ => return Err(self.unexpected(Mode::Plain, place, "label")),
            });
            self.take(Mode::Plain);
            if self.eat(Mode::Plain, ",").is_none() && !self.peek(Mode::Plain).is(")") {
                return Err(self.unexpected(Mode::Plain, place, "\",\" or \")\""));
            }
        }
        Ok(labels)
    }

    // Calls.

    pub(super) fn aggregate(&mut self, op: AggregateOp) -> Parsed {
        let name = self.take(Mode::Plain);
        let mut grouping = self.grouping()?;
        if op == AggregateOp::CountValues {
            self.check_label_argument();
        }
        let (mut args, height, close) = self.arguments("aggregation")?;
        let mut span = name.span().to(close);
        if grouping.is_none() {
            grouping = self.grouping()?;
            span.end = Span::new(0, self.end).end;
        }
        let wanted = 1 + usize::from(op.parameter().is_some());
        if args.len() != wanted {
            let given = args.len();
            let message = if given == 0 {
                "no arguments for aggregate expression provided".to_owned()
            } else {
                format!(
                    "wrong number of arguments for aggregate expression provided, expected {wanted}, got {given}"
                )
            };
            return Err(self.note("P004", span, message));
        }
        let expr = Box::new(args.pop().expect("counted above"));
        let parameter = args.pop().map(Box::new);
        let grouping = grouping.unwrap_or(Grouping::By(Vec::new()));
        let height = self.higher(height, span)?;
        Ok((Expr::Aggregate(Aggregate { op, parameter, expr, grouping, span }), height))
    }

    /// The first argument names a label: where it cannot be one, that is to be said.
    pub(super) fn check_label_argument(&mut self) {
        let open = self.peek(Mode::Plain).end;
        let first = token(self.text, open, Mode::Plain);
        if first.kind == Kind::Quoted
            && let Ok(bytes) = unquote_bytes(self.word_of(&first))
            && (bytes.is_empty() || std::str::from_utf8(&bytes).is_err())
        {
            self.note("P004", first.span(), format!("invalid label name {}", quote_bytes(&bytes)));
        }
    }

    pub(super) fn grouping(&mut self) -> Result<Option<Grouping>, Failed> {
        Ok(if self.eat_keyword("by").is_some() {
            Some(Grouping::By(self.grouping_labels()?))
        } else if self.eat_keyword("without").is_some() {
            Some(Grouping::Without(self.grouping_labels()?))
        } else {
            None
        })
    }

    pub(super) fn call(&mut self) -> Parsed {
        let token = self.take(Mode::Plain);
        let name = self.word_of(&token);
        let (args, height, close) = self.arguments(&format!("call of {name}"))?;
        let span = token.span().to(close);
        let height = self.higher(height, span)?;
        if let Some(function) = function(name) {
            return Ok((Expr::Call(Call { function, args, span }), height));
        }
        let mut unknown = Diagnostic::error(
            "P003",
            token.span(),
            format!("unknown function with name {}", quote(name)),
        );
        let known = functions()
            .iter()
            .map(|function| function.name)
            .chain(AggregateOp::ALL.iter().map(|(_, name)| *name));
        if let Some(near) = nearest(&name.to_ascii_lowercase(), known) {
            unknown = unknown.with_help(format!("did you mean `{near}`?"));
        }
        self.diagnostics.push(unknown);
        // The form is whole: something stands in for it, and is never looked at.
        let literal = NumberLiteral { value: f64::NAN, duration: false, span };
        Ok((Expr::Number(literal), height))
    }

    pub(super) fn arguments(&mut self, place: &str) -> Result<(Vec<Expr>, usize, Span), Failed> {
        self.expect(Mode::Plain, "(", place)?;
        let (mut args, mut height) = (Vec::new(), 0);
        if let Some(close) = self.eat(Mode::Plain, ")") {
            return Ok((args, height, close.span()));
        }
        loop {
            self.descend()?;
            let (arg, arg_height) = self.expr(0)?;
            self.nesting -= 1;
            args.push(arg);
            height = height.max(arg_height);
            if let Some(close) = self.eat(Mode::Plain, ")") {
                return Ok((args, height, close.span()));
            }
            if self.eat(Mode::Plain, ",").is_none() {
                return Err(self.unexpected(Mode::Plain, place, "\",\" or \")\""));
            }
            if self.peek(Mode::Plain).is(")") {
                let span = self.peek(Mode::Plain).span();
                let message = "trailing commas not allowed in function call args";
                return Err(self.note("P002", span, message));
            }
        }
    }
}
