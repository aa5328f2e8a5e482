//! Numbers that keep all rules at once: one interval, one grid of multiples, and grids and points to stay off.

use std::collections::BTreeSet;

use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::{
    exact::{Exact, Quantity, common_multiple, is_multiple, is_writable},
    solve::{Found, Solver},
};

/// The most points of a grid that are tried one by one.
const MAX_POINTS: usize = 2_000;

/// What is asked of a number.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    low: Option<(BigRational, bool)>,
    high: Option<(BigRational, bool)>,
    multiple: Option<BigRational>,
    off: Vec<BigRational>,
    excluded: BTreeSet<BigRational>,
    plain: bool,
    not_plain: bool,
}

impl Numbers {
    pub(super) fn at_least(&mut self, bound: &BigRational, strict: bool) {
        let tighter = self.low.as_ref().is_none_or(|(low, is)| bound > low || bound == low && strict && !is);
        if tighter {
            self.low = Some((bound.clone(), strict));
        }
    }

    pub(super) fn at_most(&mut self, bound: &BigRational, strict: bool) {
        let tighter = self.high.as_ref().is_none_or(|(high, is)| bound < high || bound == high && strict && !is);
        if tighter {
            self.high = Some((bound.clone(), strict));
        }
    }

    pub(super) fn multiple_of(&mut self, step: &BigRational) {
        self.multiple = Some(self.multiple.as_ref().map_or_else(|| step.abs(), |known| common_multiple(known, step)));
    }

    pub(super) fn no_multiple_of(&mut self, step: &BigRational) {
        self.off.push(step.abs());
    }

    pub(super) fn exclude(&mut self, value: &BigRational) {
        self.excluded.insert(value.clone());
    }

    /// Draft 4's integers, or everything but them.
    pub(super) fn plain(&mut self, holds: bool) {
        if holds {
            self.plain = true;
            self.multiple_of(&BigRational::one());
        } else {
            self.not_plain = true;
        }
    }

    /// Up to `want` numbers, near zero or the bound next to it.
    pub(super) fn solve(self, want: usize, solver: &mut Solver<'_>) -> Found {
        if !self.not_plain {
            return self.points(want, solver, false);
        }
        if self.plain {
            return Found::none();
        }
        // What is no integer, and integers that are written with a fraction.
        let mut fractions = self.clone();
        fractions.off.push(BigRational::one());
        let mut found = fractions.points(want, solver, false);
        if found.values.len() < want {
            let mut whole = self;
            whole.multiple_of(&BigRational::one());
            found.join(whole.points(want, solver, true));
        }
        found
    }

    fn points(&self, want: usize, solver: &mut Solver<'_>, dotted: bool) -> Found {
        let mut found = Found::none();
        match self.interval() {
            Interval::Empty => return found,
            Interval::Point(value) => {
                if self.admits(&value) {
                    found.values.push(Exact::Number(Quantity { exact: value, dotted }));
                }
                return found;
            }
            Interval::Wide => {}
        }
        let (mut values, complete) = match &self.multiple {
            Some(step) => self.on_grid(step, want, solver),
            None => (self.between(want, solver), false),
        };
        found.complete = complete && values.len() <= want;
        values.truncate(want);
        found.values = values.into_iter().map(|exact| Exact::Number(Quantity { exact, dotted })).collect();
        found
    }

    fn interval(&self) -> Interval {
        let (Some((low, low_strict)), Some((high, high_strict))) = (&self.low, &self.high) else {
            return Interval::Wide;
        };
        match low.cmp(high) {
            std::cmp::Ordering::Less => Interval::Wide,
            std::cmp::Ordering::Equal if !low_strict && !high_strict => Interval::Point(low.clone()),
            _ => Interval::Empty,
        }
    }

    fn admits(&self, value: &BigRational) -> bool {
        let above = self.low.as_ref().is_none_or(|(low, strict)| value > low || value == low && !strict);
        let below = self.high.as_ref().is_none_or(|(high, strict)| value < high || value == high && !strict);
        above
            && below
            && self.multiple.as_ref().is_none_or(|step| is_multiple(value, step))
            && !self.off.iter().any(|step| is_multiple(value, step))
            && !self.excluded.contains(value)
    }

    /// Multiples of `step` in the interval, and whether they are all.
    fn on_grid(&self, step: &BigRational, want: usize, solver: &mut Solver<'_>) -> (Vec<BigRational>, bool) {
        if step.is_zero() {
            return (Vec::new(), false);
        }
        let first = self.low.as_ref().map(|(low, strict)| {
            let at = (low / step).ceil().to_integer();
            if *strict && BigRational::from_integer(at.clone()) * step == *low { at + 1 } else { at }
        });
        let last = self.high.as_ref().map(|(high, strict)| {
            let at = (high / step).floor().to_integer();
            if *strict && BigRational::from_integer(at.clone()) * step == *high { at - 1 } else { at }
        });
        if let (Some(first), Some(last)) = (&first, &last)
            && first > last
        {
            return (Vec::new(), true);
        }
        // Every how many points of this grid one lies on a grid to stay off; each of them is none.
        let periods: Vec<BigInt> = self.off.iter().map(|off| (off / step).numer().clone()).collect();
        if periods.iter().any(One::is_one) {
            return (Vec::new(), true);
        }
        let period = periods.iter().fold(BigInt::one(), |all, one| all.lcm(one));
        let mut values = Vec::new();
        let start = nearest_to_zero(first.as_ref(), last.as_ref());
        let mut tried = 0;
        let mut distance = BigInt::zero();
        loop {
            let inside = |at: &BigInt| {
                first.as_ref().is_none_or(|first| at >= first) && last.as_ref().is_none_or(|last| at <= last)
            };
            let mut sides = vec![&start + &distance];
            if !distance.is_zero() {
                sides.push(&start - &distance);
            }
            sides.retain(inside);
            if sides.is_empty() {
                return (values, true);
            }
            for at in sides {
                tried += 1;
                let value = BigRational::from_integer(at) * step;
                if self.admits(&value) {
                    values.push(value);
                }
            }
            if values.len() >= want {
                return (values, false);
            }
            if tried > MAX_POINTS || !solver.step(1) {
                break;
            }
            distance += 1;
        }
        // One more than a multiple of all periods is on none of the grids to stay off.
        let mut at: BigInt = (&start / &period) * &period + 1;
        for _ in 0..=(want + self.excluded.len()) {
            if last.as_ref().is_some_and(|last| at > *last) {
                break;
            }
            let value = BigRational::from_integer(at.clone()) * step;
            if self.admits(&value) && !values.contains(&value) {
                values.push(value);
            }
            at += &period;
        }
        (values, false)
    }

    /// Numbers of an interval that has room for infinitely many: those of few digits first.
    fn between(&self, want: usize, solver: &mut Solver<'_>) -> Vec<BigRational> {
        let mut values: Vec<BigRational> = Vec::new();
        let mut unwritable = Vec::new();
        let mut step = BigRational::one();
        let tenth = BigRational::new(1.into(), 10.into());
        for _ in 0..340 {
            let first = self.low.as_ref().map(|(low, _)| (low / &step).ceil().to_integer());
            let last = self.high.as_ref().map(|(high, _)| (high / &step).floor().to_integer());
            let start = nearest_to_zero(first.as_ref(), last.as_ref());
            for distance in 0..(want + self.excluded.len() + 12) {
                for at in [&start + distance, &start - distance] {
                    let value = BigRational::from_integer(at) * &step;
                    if !solver.step(1) {
                        return values;
                    }
                    if self.admits(&value) && !values.contains(&value) {
                        if is_writable(&value) { values.push(value) } else { unwritable.push(value) }
                    }
                    if values.len() >= want {
                        return values;
                    }
                }
            }
            if unwritable.len() > want + 40 {
                break;
            }
            step *= &tenth;
        }
        values.extend(unwritable);
        values
    }
}

enum Interval {
    Empty,
    Point(BigRational),
    Wide,
}

fn nearest_to_zero(first: Option<&BigInt>, last: Option<&BigInt>) -> BigInt {
    match (first, last) {
        (Some(first), _) if first.is_positive() => first.clone(),
        (_, Some(last)) if last.is_negative() => last.clone(),
        _ => BigInt::zero(),
    }
}

/// How many, as a number that indexes; a bound that no document here reaches is as good as none.
pub(super) fn count_of(value: &BigRational) -> u64 {
    value.to_integer().to_u64().unwrap_or(u64::MAX)
}
