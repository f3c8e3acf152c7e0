//! The type `halfvec` of pgvector on the wire: dimension and an unused field in 16 bits each, then the numbers
//! in binary16, all with the high byte first (pgvector, `halfvec_send` and `halfvec_recv`).

use std::error::Error;

use half::f16;
use postgres::types::private::BytesMut;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// A vector of numbers of 16 bits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HalfVector(pub(crate) Vec<f16>);

impl HalfVector {
    /// The nearest numbers of 16 bits.
    pub(crate) fn of(numbers: &[f32]) -> Self {
        Self(numbers.iter().map(|&x| f16::from_f32(x)).collect())
    }

    /// The same numbers in 32 bits.
    pub(crate) fn wide(&self) -> Vec<f32> {
        self.0.iter().map(|x| x.to_f32()).collect()
    }
}

impl ToSql for HalfVector {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let dimension = u16::try_from(self.0.len())?;
        out.extend_from_slice(&dimension.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        for number in &self.0 {
            out.extend_from_slice(&number.to_bits().to_be_bytes());
        }
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        kind.name() == "halfvec"
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for HalfVector {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let Some((&[high, low, _, _], numbers)) = raw.split_first_chunk::<4>() else {
            return Err("a halfvec of fewer than four bytes".into());
        };
        let dimension = usize::from(u16::from_be_bytes([high, low]));
        if numbers.len() != 2 * dimension {
            return Err(
                format!("a halfvec of {dimension} numbers in {} bytes", numbers.len()).into()
            );
        }
        let number = |pair: &[u8]| f16::from_bits(u16::from_be_bytes([pair[0], pair[1]]));
        Ok(Self(numbers.chunks_exact(2).map(number).collect()))
    }

    fn accepts(kind: &Type) -> bool {
        kind.name() == "halfvec"
    }
}
