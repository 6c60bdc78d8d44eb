"""What can be asked for now: scenarios, and the models and judges that live workers offer. It knows no job."""

from fastapi import APIRouter

from contracts.judging import JudgeCard
from contracts.models import ModelCard
from contracts.scenarios import SCENARIOS, Scenario

from ..deps import GatewayDep
from ..documentation import problems
from ..views import Listing

router = APIRouter(prefix="/v1", tags=["catalog"])


@router.get("/scenarios", operation_id="list_scenarios", summary="List the scenarios", responses=problems())
async def scenarios() -> Listing[Scenario]:
    """Who may look at the pictures: presets for `scenario`."""
    return Listing(data=list(SCENARIOS.values()))


@router.get("/judges", operation_id="list_judges", summary="List the judges", responses=problems(503))
async def judges(gateway: GatewayDep) -> Listing[JudgeCard]:
    """The judges that answer now."""
    return Listing(data=[card for _, card in sorted((await gateway.cards.judges()).items())])


@router.get("/models", operation_id="list_models", summary="List the models", responses=problems(503))
async def models(gateway: GatewayDep) -> Listing[ModelCard]:
    """The models that are served now."""
    return Listing(data=[card for _, card in sorted((await gateway.cards.models()).items())])
