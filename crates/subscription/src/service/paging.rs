//! Pages of lists, by number.

use proto::error::ApiError;

use crate::store::Page;

const SIZES: [i32; 4] = [15, 25, 50, 100];

/// The page that a request asks for; 0 stands for the first one and for the largest size.
///
/// # Errors
/// Mistakes in `page` and `per_page`.
pub(super) fn page(page: i32, per_page: i32) -> Result<Page, ApiError> {
    let mut errors = Vec::new();
    if page < 0 {
        errors.push(("page".to_owned(), "must be 1 or more".to_owned()));
    }
    if per_page != 0 && !SIZES.contains(&per_page) {
        errors.push(("per_page".to_owned(), "must be one of 15, 25, 50, 100".to_owned()));
    }
    if !errors.is_empty() {
        return Err(ApiError::fields(errors));
    }
    let limit = i64::from(if per_page == 0 { 100 } else { per_page });
    Ok(Page { offset: i64::from(page.max(1) - 1) * limit, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_their_place() {
        for (number, size, expected) in
            [(0, 0, (0, 100)), (1, 15, (0, 15)), (3, 25, (50, 25)), (i32::MAX, 100, (214_748_364_600, 100))]
        {
            let found = page(number, size).unwrap();
            assert_eq!((found.offset, found.limit), expected);
        }
        let fields = page(-1, 10).unwrap_err().fields;
        assert_eq!(fields.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["page", "per_page"]);
    }
}
