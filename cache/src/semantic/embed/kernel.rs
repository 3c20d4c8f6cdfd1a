//! Sums over vectors of the table's length, as plain loops that the compiler vectorises.
//!
//! `multiversion` compiles each loop once more for the better instruction sets and picks one at run time.

use multiversion::multiversion;

use super::DIM;

/// How many sums run beside each other: floats may not be reordered, so that one sum would never be vectorised.
const LANES: usize = 16;
/// How many vectors are taken at once, so that the sums of one need not wait for their own.
const ABREAST: usize = 4;

/// The inner product of two vectors.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
pub(crate) fn product(one: &[f32; DIM], other: &[f32; DIM]) -> f32 {
    abreast(one, [other])[0]
}

/// Puts the inner product of `one` with each of `others` into `found`, in place of what was there.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
pub(crate) fn products(one: &[f32; DIM], others: &[&[f32; DIM]], found: &mut Vec<f32>) {
    found.clear();
    let (fours, rest) = others.as_chunks::<ABREAST>();
    for four in fours {
        found.extend(abreast(one, *four));
    }
    for other in rest {
        found.extend(abreast(one, [other]));
    }
}

#[inline(always)]
fn abreast<const N: usize>(one: &[f32; DIM], others: [&[f32; DIM]; N]) -> [f32; N] {
    let mut sums = [[0_f32; LANES]; N];
    for at in (0..DIM).step_by(LANES) {
        for (sums, other) in sums.iter_mut().zip(others) {
            for lane in 0..LANES {
                sums[lane] += one[at + lane] * other[at + lane];
            }
        }
    }
    sums.map(|mut sums| {
        let mut width = LANES / 2;
        while width > 0 {
            for lane in 0..width {
                sums[lane] += sums[lane + width];
            }
            width /= 2;
        }
        sums[0]
    })
}

/// Adds `factor` times `row` to `sum`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
pub(super) fn add_bytes(row: &[u8], factor: f32, sum: &mut [f32; DIM]) {
    for (total, &byte) in sum.iter_mut().zip(row) {
        *total += factor * f32::from(byte.cast_signed());
    }
}

const _: () = assert!(DIM.is_multiple_of(LANES), "the loops leave no rest");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loops_give_the_plain_sums() {
        let row = |seed: usize| -> [f32; DIM] { std::array::from_fn(|at| ((at * seed + 7) % 41) as f32 / 41.0 - 0.5) };
        let others = [3, 11, 0, 8, 2, 9].map(row);
        let mut found = vec![9.0; 3];
        products(&row(5), &others.each_ref(), &mut found);
        assert_eq!(found.len(), others.len());
        for (product, other) in found.iter().zip(&others) {
            let plain: f64 = row(5).iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(*product) - plain).abs() < 1e-5, "{product} {plain}");
            assert!((product - super::product(&row(5), other)).abs() < 1e-5);
        }
        let bytes: Vec<u8> = (0..DIM).map(|at| (at * 3 % 256) as u8).collect();
        let mut sum = row(2);
        add_bytes(&bytes, 0.5, &mut sum);
        for (at, total) in sum.iter().enumerate() {
            let plain = row(2)[at] + 0.5 * f32::from(bytes[at].cast_signed());
            assert!((total - plain).abs() < 1e-5);
        }
    }
}
