"""How much of a recording may be lost before it is refused: one limit for clips, their labels and their merge."""

MAX_LOST_S = 0.2  # a short word; a text would then say more than the recording holds
_PACKET_S = 0.04  # what a packet holds: one picture at 25 per second; one of sound holds 20 to 64 ms


def damage(*, missing_s: float, num_bad_packets: int) -> str:
    """Say what is lost of a clip, from the columns of `clips.tsv`; "" up to `MAX_LOST_S`, so that it may be used."""
    lost_s = missing_s + num_bad_packets * _PACKET_S
    if lost_s <= MAX_LOST_S:
        return ""
    return (
        f"{lost_s:.2f} s are lost: {missing_s:.2f} s missing, {num_bad_packets} damaged packets or pictures"
    )
