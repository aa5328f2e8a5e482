"""Handlers of a tchu-tchu service: by topic, and a server of RPCs."""

from peer import hear, say
from tchu_tchu import TchuEvent, TchuRPCException, subscribe


@subscribe("scranton.tagged_item.created")
def tagged(data):
    say(handler="topic", fields=data)


class GetRiskAssessment(TchuEvent):
    topic = "rpc.pulse.risk.get"

    class Meta:
        topic = "rpc.pulse.risk.get"


def get(request):
    asked = request["assessment_id"]
    say(handler="get", asked=asked)
    match asked:
        case "declined":
            raise TchuRPCException(message="no such assessment", code="NOT_FOUND", details={"asked": asked})
        case "fails":
            raise ValueError("the database is away")
        case "list":
            return [1, 2]
        case "none":
            return None
        case "holds":
            hear()
    return {"assessment_id": asked, "risk_score": 2.5, "status": "by tchu-tchu"}


GetRiskAssessment(handler=get).subscribe()
