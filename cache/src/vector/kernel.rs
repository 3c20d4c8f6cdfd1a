//! The inner products, as one plain loop each that the compiler vectorises.
//!
//! The build's baseline is x86-64 with SSE2. `multiversion` compiles each loop once more for the better instruction
//! sets and picks one at run time: a row of 384 bytes then costs 8 ns (AVX-512) or 16 ns (AVX2) and not 51 ns.

use multiversion::multiversion;

/// How many sums run beside each other: floats may not be reordered, so that one sum would never be vectorised.
const LANES: usize = 16;

/// What a unit of the coarse part is in units of the fine one.
pub(super) const FINE: f32 = 254.0;

/// The inner product of two quantised rows.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512vl+avx512vnni",
    "x86_64+avx2",
    "x86_64+sse4.1",
    "aarch64+neon+dotprod"
))]
pub(super) fn dot(one: &[i8], other: &[i8]) -> i32 {
    one.iter().zip(other).map(|(one, other)| i32::from(*one) * i32::from(*other)).sum()
}

/// The inner product of a query with both parts of a row, in units of the row's scale.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512vnni", "x86_64+avx2+fma", "x86_64+sse4.1"))]
pub(super) fn dot_exact(query: &[f32], coarse: &[i8], fine: &[i8]) -> f32 {
    let mut sums = [0_f32; LANES];
    let (mut queries, mut coarses, mut fines) =
        (query.chunks_exact(LANES), coarse.chunks_exact(LANES), fine.chunks_exact(LANES));
    for ((query, coarse), fine) in queries.by_ref().zip(coarses.by_ref()).zip(fines.by_ref()) {
        for lane in 0..LANES {
            sums[lane] += query[lane] * (f32::from(coarse[lane]) * FINE + f32::from(fine[lane]));
        }
    }
    let rest = queries.remainder().iter().zip(coarses.remainder()).zip(fines.remainder());
    let rest: f32 = rest.map(|((query, coarse), fine)| query * (f32::from(*coarse) * FINE + f32::from(*fine))).sum();
    (sums.iter().sum::<f32>() + rest) / FINE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_products_are_the_plain_sum_at_any_length() {
        for len in [0, 1, 15, 16, 17, 31, 384, 1000, 1537] {
            let one: Vec<i8> = (0..len).map(|n| ((n * 37) % 255 - 127) as i8).collect();
            let other: Vec<i8> = (0..len).map(|n| ((n * 91 + 5) % 255 - 127) as i8).collect();
            let plain: i64 = one.iter().zip(&other).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
            assert_eq!(i64::from(dot(&one, &other)), plain, "{len}");

            let query: Vec<f32> = other.iter().map(|n| f32::from(*n) / 1000.0).collect();
            let wanted: f64 = (0..len as usize)
                .map(|n| f64::from(query[n]) * (f64::from(one[n]) + f64::from(other[n]) / f64::from(FINE)))
                .sum();
            let found = f64::from(dot_exact(&query, &one, &other));
            assert!((found - wanted).abs() < 1e-5 * (1.0 + wanted.abs()), "{len}: {found} {wanted}");
        }
    }
}
