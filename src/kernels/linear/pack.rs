//! Packs GGUF blocks into panels, and dequantizes single rows of panels.

#![allow(unsafe_code)]

use half::{bf16, f16};

use super::buffer::Buffer;
use super::format::{BLOCK, PANEL, Packing, SUPER_6K, SUPER_K};
use crate::Pool;
use crate::shared::Shared;

/// Packs a matrix `[rows, cols]`; `blocks` has the length that this shape requires. Channels that
/// pad the last panel are zero.
pub(crate) fn pack(
    blocks: &[u8],
    packing: Packing,
    rows: usize,
    cols: usize,
    pool: &Pool,
) -> Buffer {
    let n_blocks = cols.div_ceil(BLOCK);
    let panel_bytes = packing.panel_bytes(n_blocks);
    let n_panels = rows.div_ceil(PANEL);
    let mut buffer = Buffer::zeroed(n_panels * panel_bytes);
    if blocks.is_empty() {
        return buffer;
    }
    let row_bytes = blocks.len() / rows;
    let panels = Shared::new(buffer.bytes_mut());
    pool.run(n_panels, |index| {
        // SAFETY: each task takes only the panel of its own index.
        let panel = unsafe { panels.part(index * panel_bytes..(index + 1) * panel_bytes) };
        let (quants, scales) = panel.split_at_mut(packing.quant_bytes() * n_blocks);
        let end = rows.min((index + 1) * PANEL);
        for row in index * PANEL..end {
            let source = &blocks[row * row_bytes..(row + 1) * row_bytes];
            pack_row(source, packing, row % PANEL, quants, scales);
        }
    });
    buffer
}

fn pack_row(source: &[u8], packing: Packing, channel: usize, quants: &mut [u8], scales: &mut [u8]) {
    match packing {
        Packing::F32 => place_columns::<4>(source, channel, quants),
        Packing::F16 | Packing::Bf16 => place_columns::<2>(source, channel, quants),
        Packing::Q4_0 => small_blocks::<18>(source, packing, channel, quants, scales),
        Packing::Q4_1 => small_blocks::<20>(source, packing, channel, quants, scales),
        Packing::Q5_0 => small_blocks::<22>(source, packing, channel, quants, scales),
        Packing::Q5_1 => small_blocks::<24>(source, packing, channel, quants, scales),
        Packing::Q8_0 => small_blocks::<34>(source, packing, channel, quants, scales),
        Packing::Q4K => super_blocks::<144>(source, packing, channel, quants, scales),
        Packing::Q5K => super_blocks::<176>(source, packing, channel, quants, scales),
        Packing::Q6K => super_blocks_6(source, channel, quants, scales),
    }
}

fn place_columns<const BYTES: usize>(source: &[u8], channel: usize, quants: &mut [u8]) {
    for (column, value) in source.as_chunks::<BYTES>().0.iter().enumerate() {
        let at = (column * PANEL + channel) * BYTES;
        quants[at..at + BYTES].copy_from_slice(value);
    }
}

/// Packs a row of a format with blocks of 32 weights: scale, minimum and fifth bits if the format
/// has them, quants.
fn small_blocks<const BYTES: usize>(
    source: &[u8],
    packing: Packing,
    channel: usize,
    quants: &mut [u8],
    scales: &mut [u8],
) {
    let has_min = matches!(packing, Packing::Q4_1 | Packing::Q5_1);
    let has_bits = matches!(packing, Packing::Q5_0 | Packing::Q5_1);
    let n_scales = 1 + usize::from(has_min);
    let blocks = source.as_chunks::<BYTES>().0.iter();
    for (index, (block, quants)) in
        blocks.zip(quants.chunks_exact_mut(packing.quant_bytes())).enumerate()
    {
        for which in 0..n_scales {
            let at = ((index * n_scales + which) * PANEL + channel) * 2;
            scales[at..at + 2].copy_from_slice(&block[2 * which..2 * which + 2]);
        }
        let rest = &block[2 * n_scales..];
        if packing == Packing::Q8_0 {
            let mut stored = [0; 32];
            stored.iter_mut().zip(rest).for_each(|(stored, byte)| *stored = byte ^ 0x80);
            place_fours(&stored, channel, quants);
        } else if has_bits {
            place_fours(&rest[4..], channel, quants);
            let bits = u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]);
            place_fifth_bits(bits, channel, quants);
        } else {
            place_fours(rest, channel, quants);
        }
    }
}

/// Distributes a channel's bytes over the chunks of a block, four to a chunk.
fn place_fours(bytes: &[u8], channel: usize, quants: &mut [u8]) {
    for (four, chunk) in bytes.as_chunks::<4>().0.iter().zip(quants.chunks_exact_mut(64)) {
        chunk[4 * channel..4 * channel + 4].copy_from_slice(four);
    }
}

/// Writes the fifth bits of a channel; bit `k` of `bits` belongs to column `k`.
fn place_fifth_bits(bits: u32, channel: usize, quants: &mut [u8]) {
    for group in 0..8 {
        let four = (bits >> (4 * group)) as u8 & 15;
        quants[256 + 8 * group + channel / 2] |= four << (4 * (channel % 2));
    }
}

/// Packs a row of Q4_K or Q5_K: super-blocks of eight blocks with six-bit scales and minima.
fn super_blocks<const BYTES: usize>(
    source: &[u8],
    packing: Packing,
    channel: usize,
    quants: &mut [u8],
    scales: &mut [u8],
) {
    let block_bytes = packing.quant_bytes();
    for (index, block) in source.as_chunks::<BYTES>().0.iter().enumerate() {
        let scales = &mut scales[index * SUPER_K..(index + 1) * SUPER_K];
        scales[2 * channel..2 * channel + 2].copy_from_slice(&block[..2]);
        // The minimum is subtracted, so its factor is stored negated.
        let at = 2 * PANEL + 2 * channel;
        scales[at..at + 2].copy_from_slice(&[block[2], block[3] ^ 0x80]);
        let nibbles = &block[BYTES - 128..];
        for sub in 0..8 {
            let (scale, min) = six_bit_scales(&block[4..16], sub);
            scales[4 * PANEL + 2 * sub * PANEL + channel] = scale;
            scales[4 * PANEL + (2 * sub + 1) * PANEL + channel] = min;
            let source = &nibbles[sub / 2 * 32..sub / 2 * 32 + 32];
            let shift = 4 * (sub % 2);
            let packed: [u8; 16] = std::array::from_fn(|i| {
                ((source[i] >> shift) & 15) | (((source[i + 16] >> shift) & 15) << 4)
            });
            let at = (index * 8 + sub) * block_bytes;
            let quants = &mut quants[at..at + block_bytes];
            place_fours(&packed, channel, quants);
            if packing == Packing::Q5K {
                let high = &block[16..48];
                let bits = (0..32).fold(0, |bits, i| bits | (u32::from((high[i] >> sub) & 1) << i));
                place_fifth_bits(bits, channel, quants);
            }
        }
    }
}

/// Returns scale and minimum of block `sub` from the twelve bytes in which a super-block packs
/// them.
fn six_bit_scales(packed: &[u8], sub: usize) -> (u8, u8) {
    if sub < 4 {
        return (packed[sub] & 63, packed[sub + 4] & 63);
    }
    let low = packed[sub + 4];
    ((low & 15) | (packed[sub - 4] >> 6 << 4), (low >> 4) | (packed[sub] >> 6 << 4))
}

/// Packs a row of Q6_K: super-blocks of sixteen half blocks with signed scales.
fn super_blocks_6(source: &[u8], channel: usize, quants: &mut [u8], scales: &mut [u8]) {
    for (index, block) in source.as_chunks::<210>().0.iter().enumerate() {
        let (low, high, small) = (&block[..128], &block[128..192], &block[192..208]);
        let scales = &mut scales[index * SUPER_6K..(index + 1) * SUPER_6K];
        scales[2 * channel..2 * channel + 2].copy_from_slice(&block[208..]);
        for (half, &scale) in small.iter().enumerate() {
            scales[2 * PANEL + half * PANEL + channel] = scale;
        }
        for sub in 0..8 {
            let (side, quarter) = (sub / 4, sub % 4);
            let low = &low[64 * side + 32 * (quarter % 2)..][..32];
            let high = &high[32 * side..][..32];
            let nibble = |i: usize| (low[i] >> (4 * (quarter / 2))) & 15;
            let two_bits = |i: usize| (high[i] >> (2 * quarter)) & 3;
            let packed: [u8; 16] = std::array::from_fn(|i| nibble(i) | (nibble(i + 16) << 4));
            let quants = &mut quants[(index * 8 + sub) * 384..(index * 8 + sub + 1) * 384];
            place_fours(&packed, channel, quants);
            for column in 0..32 {
                let (group, byte) = (column / 4, column % 4);
                quants[256 + 64 * (group / 4) + 4 * channel + byte] |=
                    two_bits(column) << (2 * (group % 4));
            }
        }
    }
}

/// Dequantizes a row of a packed matrix.
pub(crate) fn unpack_row(data: &[u8], packing: Packing, row: usize, cols: usize, out: &mut [f32]) {
    let n_blocks = cols.div_ceil(BLOCK);
    let panel_bytes = packing.panel_bytes(n_blocks);
    let panel = &data[row / PANEL * panel_bytes..][..panel_bytes];
    let (quants, scales) = panel.split_at(packing.quant_bytes() * n_blocks);
    let channel = row % PANEL;
    for (block, out) in out.chunks_mut(BLOCK).enumerate() {
        let quants = &quants[block * packing.quant_bytes()..][..packing.quant_bytes()];
        for (column, out) in out.iter_mut().enumerate() {
            *out = match packing {
                Packing::F32 => f32::from_le_bytes(element(quants, column, channel)),
                Packing::F16 => f16::from_le_bytes(element(quants, column, channel)).to_f32(),
                Packing::Bf16 => bf16::from_le_bytes(element(quants, column, channel)).to_f32(),
                _ => {
                    let (scale, offset, min) = block_scale(packing, scales, block, column, channel);
                    scale * (f32::from(quant(packing, quants, column, channel)) - offset) + min
                }
            };
        }
    }
}

fn element<const BYTES: usize>(quants: &[u8], column: usize, channel: usize) -> [u8; BYTES] {
    std::array::from_fn(|i| quants[(column * PANEL + channel) * BYTES + i])
}

fn quant(packing: Packing, quants: &[u8], column: usize, channel: usize) -> u8 {
    let (group, byte) = (column / 4, 4 * channel + column % 4);
    if packing == Packing::Q8_0 {
        return quants[64 * group + byte];
    }
    let nibble = (quants[64 * (group % 4) + byte] >> (4 * (group / 4))) & 15;
    match packing.quant_bytes() {
        320 => nibble | (((quants[256 + 8 * group + byte / 8] >> (byte % 8)) & 1) << 4),
        384 => nibble | (((quants[256 + 64 * (group / 4) + byte] >> (2 * (group % 4))) & 3) << 4),
        _ => nibble,
    }
}

/// Returns scale, stored offset and minimum of a weight.
fn block_scale(
    packing: Packing,
    scales: &[u8],
    block: usize,
    column: usize,
    channel: usize,
) -> (f32, f32, f32) {
    let half_at = |at: usize| f16::from_le_bytes([scales[at], scales[at + 1]]).to_f32();
    let plain = |index: usize| half_at((index * PANEL + channel) * 2);
    match packing {
        Packing::Q4_0 => (plain(block), 8.0, 0.0),
        Packing::Q5_0 => (plain(block), 16.0, 0.0),
        Packing::Q8_0 => (plain(block), 128.0, 0.0),
        Packing::Q4_1 | Packing::Q5_1 => (plain(2 * block), 0.0, plain(2 * block + 1)),
        Packing::Q6K => {
            let base = block / 8 * SUPER_6K;
            let half = block % 8 * 2 + column / 16;
            let small = scales[base + 2 * PANEL + half * PANEL + channel] as i8;
            (half_at(base + 2 * channel) * f32::from(small), 32.0, 0.0)
        }
        _ => {
            let base = block / 8 * SUPER_K;
            let small = |which: usize| {
                f32::from(scales[base + 4 * PANEL + (block % 8 * 2 + which) * PANEL + channel])
            };
            let scale = half_at(base + 2 * channel) * small(0);
            (scale, 0.0, half_at(base + 2 * PANEL + 2 * channel) * small(1))
        }
    }
}
