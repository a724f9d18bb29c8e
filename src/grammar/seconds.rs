//! The numbers from 1 to a limit, digit by digit.

/// Ways to write exactly the numbers from 1 to `most` without leading zeros, each a range of digits for each
/// place. No number can be written in two ways.
pub(super) fn ranges(most: u32) -> Vec<Vec<(char, char)>> {
    let digits: Vec<char> = most.to_string().chars().collect();
    let places = |first, count| {
        let mut way = vec![first];
        way.resize(count, ('0', '9'));
        way
    };
    // Those with fewer digits.
    let mut ways: Vec<_> = (1..digits.len()).map(|count| places(('1', '9'), count)).collect();
    // Those that begin as the limit does and are less from some place on, then the limit itself.
    for (place, digit) in digits.iter().enumerate() {
        let least = if place == 0 { '1' } else { '0' };
        if *digit > least {
            let below = char::from_u32(u32::from(*digit) - 1).unwrap_or(least);
            let mut way: Vec<_> = digits[..place].iter().map(|digit| (*digit, *digit)).collect();
            way.extend(places((least, below), digits.len() - place));
            ways.push(way);
        }
    }
    if most > 0 {
        ways.push(digits.iter().map(|digit| (*digit, *digit)).collect());
    }
    ways
}

/// One place as a character class.
pub(super) fn class((first, last): (char, char)) -> String {
    if first == last { format!("[{first}]") } else { format!("[{first}-{last}]") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(ways: &[Vec<(char, char)>], text: &str) -> usize {
        let fits = |way: &&Vec<(char, char)>| {
            way.len() == text.len()
                && way.iter().zip(text.chars()).all(|((first, last), c)| (*first..=*last).contains(&c))
        };
        ways.iter().filter(fits).count()
    }

    #[test]
    fn exactly_the_numbers_up_to_the_limit_are_written_each_in_one_way() {
        let limits = (0..=1_200).chain([1_999, 9_999, 10_000, 10_001, 86_399, 86_400, 90_909, 99_999]);
        for most in limits {
            let ways = ranges(most);
            // Beyond the limit: up to the next number of digits, at least.
            for number in 0..=most * 2 + 20 {
                let expected = usize::from((1..=most).contains(&number));
                assert_eq!(count(&ways, &number.to_string()), expected, "{number} of {most}");
            }
        }
        for most in [9, 10, 86_400, u32::MAX] {
            let ways = ranges(most);
            for text in ["", "0", "00", "01", "007", "4294967296", "99999999999"] {
                assert_eq!(count(&ways, text), 0, "{text} of {most}");
            }
            for text in [1, most / 2, most - 1, most] {
                assert_eq!(count(&ways, &text.to_string()), 1, "{text} of {most}");
            }
        }
    }
}
