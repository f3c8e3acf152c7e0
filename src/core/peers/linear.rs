//! Vector arithmetic with a fixed order of additions.

/// Returns the scalar product. Eight partial sums let the compiler use vector registers. Their
/// order is fixed, so the result is the same on every machine with the same rounding.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let (b_chunks, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

/// Euclidean length.
pub(super) fn norm(a: &[f32]) -> f64 {
    a.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt()
}

/// Returns the cosine, -1 to 1; 0 if one of the vectors has length 0.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let lengths = norm(a) * norm(b);
    if lengths == 0.0 {
        return 0.0;
    }
    let product: f64 = a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
    (product / lengths).clamp(-1.0, 1.0) as f32
}

/// Returns the unit vector in the direction of `a`; `None` if the length is not above `floor` or
/// not finite (a vector of rounding noise has no meaningful direction).
pub(super) fn unit(a: &[f64], floor: f64) -> Option<Vec<f32>> {
    let length = a.iter().map(|x| x * x).sum::<f64>().sqrt();
    (length.is_finite() && length > floor).then(|| a.iter().map(|x| (x / length) as f32).collect())
}

/// Adds `a` to `sum`.
pub(super) fn add(sum: &mut [f64], a: &[f32]) {
    for (s, &x) in sum.iter_mut().zip(a) {
        *s += f64::from(x);
    }
}

/// Returns the mean of vectors of length `dimension`; `None` without vectors.
pub(super) fn mean<'a>(
    vectors: impl IntoIterator<Item = &'a [f32]>,
    dimension: usize,
) -> Option<Vec<f32>> {
    let mut sum = vec![0.0_f64; dimension];
    let mut n = 0_u32;
    for vector in vectors {
        add(&mut sum, vector);
        n += 1;
    }
    (n > 0).then(|| sum.iter().map(|x| (x / f64::from(n)) as f32).collect())
}
