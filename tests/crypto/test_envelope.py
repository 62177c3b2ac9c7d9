"""Keys and envelopes: what opens and what does not, for whom, and what an outsider
sees.
"""

import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from egan.crypto import envelope, header, keys
from egan.crypto.envelope import LETTER, Letter, Signing
from egan.crypto.header import Kind
from egan.errors import EganError
from egan.pictures.boxes import Box

RNG = np.random.default_rng(11)
WEIGHTS = b"weights of tests"
SEED = b"s" * 32
Pair = tuple[keys.PrivateKey, keys.PublicKey]


def noise(height: int = 64, width: int = 64) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return [keys.make_pair(noise(), noise(), WEIGHTS) for _ in range(4)]


@pytest.fixture(scope="module")
def pair(pairs) -> Pair:
    return pairs[0]


def sealed_to(
    *receivers: keys.PublicKey,
    picture: np.ndarray | None = None,
    note: bytes = b"",
    signing: Signing | None = None,
    boxes: tuple[Box, ...] = (),
) -> np.ndarray:
    picture = noise(128, 128) if picture is None else picture
    letter = Letter(SEED, picture.shape[1::-1], boxes, note)
    return envelope.seal(picture, receivers, letter, WEIGHTS, signing)


def opened_bytes(sealed: np.ndarray, private: keys.PrivateKey) -> tuple[bytes, bytes]:
    """File key and letter of a disguise, as any of its receivers gets them."""
    parts = envelope.parts_of(sealed, "d.png")
    bound = envelope.binding(sealed, parts.weights, parts.length)
    found = envelope.open_slots(parts, bound, private)
    assert found is not None
    return found


def resealed(picture: np.ndarray, plain: bytes, public: keys.PublicKey) -> np.ndarray:
    """The bytes of a letter, sealed to somebody by anyone who likes to."""
    shaped = envelope.Plan(1, len(plain) - LETTER.size)
    bound = envelope.binding(picture, WEIGHTS, shaped.body)
    slots = envelope.sealed_slots([public], 1, SEED, envelope.slot_info(bound))
    context = envelope.letter_context(bound, slots)
    sealed = ChaCha20Poly1305(SEED).encrypt(envelope.NONCE, plain, context)
    return header.embed(picture, Kind.DISGUISE, WEIGHTS + slots + sealed)


# Keys


def test_one_level_in_one_pixel_is_another_private_key(pair) -> None:
    private, _ = pair
    changed = private.picture.copy()
    changed[40, 40, 1] ^= 1
    assert keys.PrivateKey(changed).seed != private.seed
    with pytest.raises(EganError, match="altered"):
        keys.read_private(changed, "priv.png")


def test_two_pairs_from_one_face_differ_and_stay_near_it() -> None:
    face, flower = noise(), noise()
    (one, pub1), (two, pub2) = (keys.make_pair(face, flower, WEIGHTS) for _ in range(2))
    assert one.seed != two.seed
    assert pub1.fingerprint != pub2.fingerprint
    moved = one.picture.astype(int) - face
    # One level of noise, one of the header.
    assert np.abs(moved).max() <= 2
    outside = ~header.mask(face.shape, keys.PRIVATE_BODY.size)
    inside = outside & (face > 0) & (face < 255)
    counts = np.bincount((moved + 1)[inside], minlength=3)
    assert (np.abs(counts / counts.sum() - 1 / 3) < 0.03).all()


def test_private_key_knows_its_public_fingerprint_and_shows_no_secret(pair) -> None:
    private, public = pair
    assert private.fingerprint == public.fingerprint
    again = keys.read_public(public.picture, "pub.png")
    assert again.fingerprint == public.fingerprint
    assert private.seed.hex() not in repr(private)
    assert repr(private) == "PrivateKey(...)"


def test_the_secrets_of_a_seed_are_the_same_for_ever(monkeypatch) -> None:
    """What is derived from a key picture must not change as long as there is format 2."""
    monkeypatch.setattr(keys.PrivateKey, "seed", bytes(range(32)))
    key = keys.PrivateKey(noise())
    x25519, mlkem, ed25519 = key.public_parts
    assert (
        x25519.hex()
        == "b739d7908299eb1cd2951df9d2ca3ca0e198c17e4e6cf2bf343c59a2254f817b"
    )
    assert (
        ed25519.hex()
        == "52c89720b990943d7f40434b36ee29d991a77150432a370ade2c5cd260ae4f88"
    )
    assert mlkem.hex().startswith(
        "22f19e22511276194c90f3834a72290aa581edfa0c4e47b5c48cc4e4644d4557"
    )


def test_a_fingerprint_covers_the_keys_and_every_sample_but_not_the_headers_bits(
    pair,
) -> None:
    _, public = pair
    body = header.expect(public.picture, Kind.PUBLIC_KEY, "pub.png")
    used = header.mask(public.picture.shape, len(body))
    seen = public.picture.copy()
    seen[~used] ^= 1
    whiter = keys.read_public(header.embed(seen, Kind.PUBLIC_KEY, body), "pub.png")
    assert whiter.fingerprint != public.fingerprint
    # A byte of X25519's and of ML-KEM's key.
    parts = [16, 16 + 32 + 1100]
    for at in parts:
        changed = bytearray(body)
        changed[at] ^= 1
        other = header.embed(public.picture, Kind.PUBLIC_KEY, bytes(changed))
        assert keys.read_public(other, "p.png").fingerprint != public.fingerprint
    cleared = header.embed(seen ^ ~used, Kind.PUBLIC_KEY, body)
    assert keys.read_public(cleared, "pub.png").fingerprint == public.fingerprint


def test_fingerprints_are_grouped_for_people_and_read_back() -> None:
    whole = "0123456789abcdef" * 4
    shown = keys.grouped(whole)
    assert shown == "0123 4567 89ab cdef 0123 4567 89ab cdef"
    for text in (shown, shown.upper(), shown.replace(" ", ":"), whole):
        assert whole.startswith(keys.parse_fingerprint(text))
    for text in ("", "0123", shown[:-1], whole + "0", "g" * 32):
        with pytest.raises(EganError, match="not a fingerprint"):
            keys.parse_fingerprint(text)


@pytest.mark.parametrize(
    ("at", "point"),
    [
        (16, bytes(32)),
        (16, (1).to_bytes(32, "little")),
        (16, (2**255 - 10).to_bytes(32, "little")),
        (16 + 32 + 1184, (1).to_bytes(32, "little")),
        (16 + 32 + 1184, (2**255 - 20).to_bytes(32, "little")),
        (16 + 32 + 1184, (2**255 - 19 + 3).to_bytes(32, "little")),
    ],
)
def test_a_public_key_with_a_point_that_no_honest_key_is_is_refused(
    at: int, point: bytes, pair
) -> None:
    body = header.expect(pair[1].picture, Kind.PUBLIC_KEY, "pub.png")
    body = body[:at] + point + body[at + 32 :]
    with pytest.raises(EganError, match="the public key's header is damaged"):
        keys.read_public(header.embed(noise(), Kind.PUBLIC_KEY, body), "pub.png")


def test_an_ml_kem_key_that_fips_203_refuses_is_refused(pair) -> None:
    """Section 7.2: 12-bit numbers of 3,329 and more encode nothing."""
    body = header.expect(pair[1].picture, Kind.PUBLIC_KEY, "pub.png")
    body = body[:48] + b"\xff" * 1184 + body[48 + 1184 :]
    public = header.embed(noise(), Kind.PUBLIC_KEY, body)
    with pytest.raises(EganError, match="the public key's header is damaged"):
        keys.read_public(public, "pub.png")


# One receiver


def test_an_envelope_opens_with_the_right_key_alone(pairs) -> None:
    (private, public), (other, _), *_ = pairs
    boxes = ((1, 2, 30, 40), (0, 0, 64, 64))
    sealed = sealed_to(public, boxes=boxes, picture=noise())
    expected = envelope.Opened(Letter(SEED, (64, 64), boxes))
    assert envelope.unseal(sealed, private, "d.png") == expected
    assert envelope.unseal(sealed, other, "d.png") is None
    assert envelope.weights_of(sealed, "d.png") == WEIGHTS


def test_any_changed_sample_is_refused(pair) -> None:
    sealed = sealed_to(pair[1])
    for index in (0, 47, 100, 700, 5000, sealed.size - 1):
        changed = sealed.copy()
        changed.reshape(-1)[index] ^= 2
        with pytest.raises(EganError, match="altered"):
            envelope.unseal(changed, pair[0], "d.png")


def test_an_adversary_who_mends_the_checksum_is_refused(pair) -> None:
    private, public = pair
    sealed = sealed_to(public)
    found = header.find(sealed)
    assert found is not None
    moved = sealed.copy()
    moved[-1, -1, -1] ^= 128
    assert envelope.unseal(header.embed(moved, *found), private, "d.png") is None
    assert envelope.unseal(header.embed(sealed, *found), private, "d.png") is not None
    swapped = header.embed(sealed, found[0], b"other weights id" + found[1][16:])
    assert envelope.unseal(swapped, private, "d.png") is None


def test_a_sealed_picture_moves_by_one_level_at_most(pair) -> None:
    picture = noise()
    sealed = sealed_to(pair[1], picture=picture)
    assert np.abs(sealed.astype(int) - picture).max() <= 1


def test_an_outsider_sees_the_same_length_whatever_the_letter_holds(pairs) -> None:
    (_, public), (sender, _), *_ = pairs
    lengths = set()
    for boxes, note, signing in (
        ((), b"", None),
        (((0, 0, 1, 1),) * 16, b"", None),
        ((), b"n" * 100, Signing(sender)),
        ((), b"n", Signing(sender, "comment")),
    ):
        found = header.find(sealed_to(public, boxes=boxes, note=note, signing=signing))
        assert found is not None
        lengths.add(len(found[1]))
    assert len(lengths) == 1


def test_two_seals_of_one_picture_share_nothing(pair) -> None:
    picture = noise()
    one, two = (sealed_to(pair[1], picture=picture) for _ in range(2))
    slots = [set(envelope.parts_of(p, "d").each_slot()) for p in (one, two)]
    assert not slots[0] & slots[1]


def test_a_disguise_of_64_pixels_has_room_for_one_receiver_and_a_signature(
    pairs,
) -> None:
    (private, public), (sender, _), *_ = pairs
    note = b"n" * envelope.room_for_words((64, 64))
    sealed = sealed_to(public, picture=noise(), note=note, signing=Signing(sender))
    opened = envelope.unseal(sealed, private, "d.png")
    assert opened is not None and opened.sender is not None
    assert opened.letter.note == note and len(note) >= 8


def test_what_does_not_fit_names_a_size_that_does(pairs) -> None:
    for receivers, words in ((1, 500), (3, 0), (40, 10_000)):
        with pytest.raises(EganError, match="64x64 pixels is too small") as caught:
            envelope.plan((64, 64, 3), receivers, words)
        width, height = map(
            int, caught.value.hint.split("picture of ")[1].split()[0].split("x")
        )
        envelope.plan((height, width, 3), receivers, words)
        smaller = (height - 16, width - 16, 3)
        with pytest.raises(EganError):
            envelope.plan(smaller, receivers, words)
    with pytest.raises(EganError, match="256 receivers"):
        envelope.plan((4096, 4096, 3), 256)
    with pytest.raises(EganError, match="too small"):
        sealed_to(pairs[0][1], picture=noise(16, 16))


def test_a_letter_does_not_take_what_it_has_no_room_for(pairs) -> None:
    (_, public), (sender, _), *_ = pairs
    with pytest.raises(EganError, match="17 messages"):
        sealed_to(public, boxes=((0, 0, 1, 1),) * 17)
    with pytest.raises(EganError, match="the comment has 129 bytes"):
        Signing(sender, "x" * 129)
    with pytest.raises(EganError, match="control characters"):
        Signing(sender, "two\nlines")


def test_the_true_size_of_a_padded_picture_comes_back(pair) -> None:
    private, public = pair
    letter = Letter(SEED, (100, 127), ((0, 0, 100, 127),))
    sealed = envelope.seal(noise(128, 112), [public], letter, WEIGHTS)
    opened = envelope.unseal(sealed, private, "d.png")
    assert opened is not None and opened.letter == letter


@pytest.mark.parametrize(
    ("letter", "words"),
    [
        (Letter(SEED, (128, 113)), None),
        (Letter(SEED, (128, 112)), "another size"),
        (Letter(SEED, (129, 128)), "another size"),
        (Letter(SEED, (0, 128)), "another size"),
        (Letter(SEED, (120, 128), ((100, 0, 21, 1),)), "a box outside"),
        (Letter(SEED, (128, 128), ((0, 0, 0, 1),)), "a box outside"),
    ],
)
def test_a_letter_that_names_what_is_not_there_is_refused(letter, words, pair) -> None:
    private, public = pair
    sealed = envelope.seal(noise(128, 128), [public], letter, WEIGHTS)
    if words is None:
        assert envelope.unseal(sealed, private, "d.png") is not None
        return
    with pytest.raises(envelope.Refused, match=words):
        envelope.unseal(sealed, private, "d.png")


def test_unused_slots_and_padding_must_be_zero(pair) -> None:
    private, public = pair
    picture = noise(128, 128)
    boxes = ((1, 1, 5, 5),)
    _, plain = opened_bytes(sealed_to(public, picture=picture, boxes=boxes), private)
    assert envelope.unseal(resealed(picture, plain, public), private, "d.png")
    # Unused boxes.
    zeros = [i for i in range(37 + 8, 37 + 128)]
    # No note.
    zeros += list(range(LETTER.size, len(plain)))
    # A date without a signature.
    zeros += [229 + 7]
    for at in zeros[::9] + zeros[-2:]:
        changed = bytearray(plain)
        changed[at] = 1
        with pytest.raises(envelope.Refused, match="unknown form"):
            envelope.unseal(resealed(picture, bytes(changed), public), private, "d.png")


@pytest.mark.parametrize("point", [1, 2**255 - 20, 0])
def test_a_sender_of_small_order_is_refused(point: int, pair) -> None:
    """Such a key makes one constant signature good for every letter."""
    private, public = pair
    picture = noise(128, 128)
    fields = list(LETTER.unpack(bytes(LETTER.size)))
    fields[0:3] = [SEED, 128, 128]
    fields[5] = point.to_bytes(32, "little") + bytes(range(32))
    fields[9] = (1).to_bytes(32, "little") + bytes(32)
    plain = LETTER.pack(*fields) + bytes(128)
    with pytest.raises(envelope.Refused, match="a signature that is not for this"):
        envelope.unseal(resealed(picture, plain, public), private, "d.png")


# Several receivers


def test_each_of_several_receivers_opens_one_envelope(pairs) -> None:
    boxes, note = ((1, 2, 3, 4),), b"to all of you"
    sealed = sealed_to(*(p for _, p in pairs[:3]), boxes=boxes, note=note)
    for private, _ in pairs[:3]:
        opened = envelope.unseal(sealed, private, "d.png")
        assert opened == envelope.Opened(Letter(SEED, (128, 128), boxes, note))
    assert envelope.unseal(sealed, pairs[3][0], "d.png") is None


def test_each_receiver_costs_one_slot_and_their_number_is_padded() -> None:
    shape = (512, 512, 3)
    slots = [envelope.plan(shape, n).slots for n in range(1, 10)]
    assert slots == [1, 2, 4, 4, 8, 8, 8, 8, 12]
    bodies = [envelope.plan(shape, n).body for n in (1, 2, 4)]
    assert bodies[1] - bodies[0] == envelope.SLOT_BYTES
    assert bodies[2] - bodies[1] == 2 * envelope.SLOT_BYTES
    # where padding does not fit, the receivers still do
    assert envelope.plan((96, 112, 3), 3).slots == 3


def test_no_receiver_learns_who_the_others_are(pairs) -> None:
    """Slots that nobody can open look like the others, and all are in an order by
    chance.
    """
    sealed = sealed_to(*(p for _, p in pairs[:3]), picture=noise(256, 256))
    parts = envelope.parts_of(sealed, "d.png")
    assert len(parts.each_slot()) == 4
    everything = parts.slots + opened_bytes(sealed, pairs[0][0])[1]
    for _, public in pairs[:3]:
        for secret in (public.identity, public.x25519.public_bytes_raw()):
            assert secret not in everything
    firsts = set()
    for _ in range(30):
        again = sealed_to(*(p for _, p in pairs[:2]))
        one = envelope.parts_of(again, "d.png")
        bound = envelope.binding(again, WEIGHTS, one.length)
        info = envelope.slot_info(bound)
        try:
            envelope.SUITE.decrypt(
                one.each_slot()[0], pairs[0][0].decryption, info=info
            )
            firsts.add(True)
        except InvalidTag:
            firsts.add(False)
    assert firsts == {True, False}


def test_one_receiver_named_twice_is_refused(pairs) -> None:
    with pytest.raises(EganError, match="the same"):
        sealed_to(pairs[0][1], pairs[0][1])


# Signed letters


def test_a_signed_letter_names_its_sender_with_date_and_comment(pairs) -> None:
    (private, public), (sender, sender_public), *_ = pairs
    sealed = sealed_to(public, note=b"hello", signing=Signing(sender, "für dich"))
    opened = envelope.unseal(sealed, private, "d.png")
    assert opened is not None and opened.sender is not None
    assert opened.sender.fingerprint == sender_public.fingerprint
    assert opened.sender.comment == "für dich"
    assert opened.sender.seconds > 1_700_000_000
    assert opened.letter.note == b"hello"


def test_nothing_of_a_signed_letter_can_be_changed_by_another_receiver(pairs) -> None:
    """Who shares a letter knows its file key, and can seal other bytes under it."""
    (private, public), (sender, _), (other, other_public), _ = pairs
    sealed = sealed_to(
        public, other_public, note=b"a note", signing=Signing(sender, "c")
    )
    parts = envelope.parts_of(sealed, "d.png")
    bound = envelope.binding(sealed, WEIGHTS, parts.length)
    file_key, plain = opened_bytes(sealed, other)
    context = envelope.letter_context(bound, parts.slots)
    for at in (*range(0, LETTER.size, 7), LETTER.size, LETTER.size + 3):
        changed = bytearray(plain)
        changed[at] ^= 1
        again = ChaCha20Poly1305(file_key).encrypt(
            envelope.NONCE, bytes(changed), context
        )
        body = WEIGHTS + parts.slots + again
        with pytest.raises(envelope.Refused):
            envelope.unseal(header.embed(sealed, Kind.DISGUISE, body), private, "d.png")


def test_a_letter_passed_on_names_its_first_receiver(pairs) -> None:
    (_, _), (alice, _), (bob, bob_public), (carol, carol_public) = pairs
    picture = noise(128, 128)
    sealed = sealed_to(bob_public, picture=picture, signing=Signing(alice))
    _, plain = opened_bytes(sealed, bob)
    with pytest.raises(
        envelope.Refused,
        match="a signature that is not for this picture and this receiver",
    ):
        envelope.unseal(resealed(picture, plain, carol_public), carol, "d.png")


def test_a_signature_does_not_move_to_another_letter(pairs) -> None:
    (private, public), (alice, _), (mallory, _), _ = pairs
    picture = noise(128, 128)
    _, plain = opened_bytes(sealed_to(public, signing=Signing(alice)), private)
    identity = plain.index(alice.identity)
    for taken in (
        plain,
        plain[:identity] + mallory.identity + plain[identity + 64 :],
    ):
        with pytest.raises(envelope.Refused, match="is not for this picture"):
            envelope.unseal(resealed(picture, taken, public), private, "d.png")


def test_one_signature_is_good_under_one_file_key_only(pairs) -> None:
    """Else a sender could make two letters of one ciphertext, one for each receiver."""
    bound, slots, letter = bytes(48), bytes(9), bytes(99)
    one, two = (envelope.statement(bound, slots, key, letter) for key in (b"1", b"2"))
    assert one != two
    assert one.startswith(b"egan/2 signed letter\0")


def test_the_keystream_of_damaged_pictures_depends_on_key_and_picture(pairs) -> None:
    seeds = {
        private.wrong_keystream_seed(digest)
        for private, _ in pairs[:2]
        for digest in (b"a" * 32, b"b" * 32)
    }
    assert len(seeds) == 4
